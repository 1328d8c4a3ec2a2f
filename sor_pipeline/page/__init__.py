"""The scorecard: one self-contained HTML page from the answers of `observe.report`.

Belongs here: how the page looks and reads. Does not: any select (`observe.report`), printing on a
terminal (`terminal`). No step imports it: a run does not wait for a picture of itself.

The page holds no script. Charts are drawn by Vega-Lite when the page is made (`charts`) and stand in
it as SVG whose colours are the page's: 15 KB each instead of 900 KB of JavaScript, light and dark by
the reader's own preference, sharp on paper, and nothing that a browser's policy could refuse.
"""
