"""Words that stand beside a name or in an address and are no part of it: titles, generations, legal forms, streets.

Belongs here: vocabulary, lower-case, as `features` leaves it after taking out punctuation. Does not: any choice.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _short_forms(text: str) -> dict[str, str]:
    """`street:st road:rd` as long form -> short form."""
    return {long: short for long, _, short in (word.partition(":") for word in text.split())}


TITLES = {
    "m": (*_words("mr mister herr hr senor monsieur sir signor"), "sr don"),
    "f": _words("mrs ms miss madam frau fr senora senorita madame mme mlle lady signora"),
}
"""By the sex that they tell."""
LEARNED = (*_words("dr prof professor rev hon ing mag"), "dipl ing")
GENERATIONS = {"jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr", "ii": "2", "iii": "3", "iv": "4"}
LEGAL_FORMS = (
    *_words("incorporated corporation limited company inc corp ltd llc llp lp plc co pllc"),
    *_words("gmbh mbh ag kg kgaa ohg ug gbr ev se eg sa sas sarl eurl srl spa sl slu bv nv vof cv"),
    *_words("oy oyj ab as asa aps pty pte pvt bhd sdn kk kft zrt doo sro spol ltda oo ooo"),
    *("und co", "co kg", "gmbh co kg", "sp z oo", "sp z o o", "l l c", "s a", "s a s", "s r l", "s p a"),
    *("b v", "n v", "g m b h", "l t d", "p l c", "a g", "e v"),
)
STREETS = _short_forms(
    "street:st str:st strasse:st straße:st road:rd avenue:ave av:ave drive:dr lane:ln boulevard:blvd court:ct "
    "place:pl square:sq terrace:tce crescent:cres circuit:cct close:cl highway:hwy parkway:pkwy apartment:apt "
    "suite:ste unit:apt north:n south:s east:e west:w saint:st mount:mt"
)
