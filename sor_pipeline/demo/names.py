"""Words that the demo company is made of: names of people, firms, streets and places.

Belongs here: vocabulary. Does not: any choice among it (`company`).
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    "Ada Bruno Chloë Dario Elif Farah Goran Hana Ivo Jamila Kenji Lena Milo Noor Otto Priya Quentin Rosa Søren "
    "Tara Umar Vera Wanda Xenia Yusuf Zoë Anaïs Björn Carmen Dmitri Edda François Greta Hugo Inés Jonas Keiko "
    "Liam Maëlle Nils"
)
FIRST_ASCII = _words(
    "ada bruno chloe dario elif farah goran hana ivo jamila kenji lena milo noor otto priya quentin rosa soren "
    "tara umar vera wanda xenia yusuf zoe anais bjorn carmen dmitri edda francois greta hugo ines jonas keiko "
    "liam maelle nils"
)
LAST = _words(
    "Quill Abara Brandt Cortez Dubois Ekström Fischer García Haddad Ito Jansen Kowal Lindqvist Müller Novak "
    "O'Brien Petit Quist Romano Schäfer Tanaka Ueda Varga Weiß Xu Yilmaz Zanetti Achebe Bauer Costa Dahl Engel "
    "Fonseca Grün Horvat Iversen Joshi Krause Lefèvre Moreau Nkosi Olsen Pereira Rossi Silva Thorne Ursu Vogel "
    "Winter Young"
)
LAST_ASCII = _words(
    "quill abara brandt cortez dubois ekstrom fischer garcia haddad ito jansen kowal lindqvist mueller novak "
    "obrien petit quist romano schaefer tanaka ueda varga weiss xu yilmaz zanetti achebe bauer costa dahl engel "
    "fonseca gruen horvat iversen joshi krause lefevre moreau nkosi olsen pereira rossi silva thorne ursu vogel "
    "winter young"
)
FIRM_LEFT = _words(
    "Amber Birch Cobalt Delta Ember Falcon Granite Harbor Iris Juniper Kestrel Lumen Maple Nimbus Onyx Pebble "
    "Quartz River Slate Timber Umber Violet Willow Yarrow Zephyr Alder Bramble Cedar Dune Echo"
)
FIRM_RIGHT = _words(
    "Logistics Foods Robotics Textiles Optics Energy Media Health Marine Paper Labs Motors Farms Software Freight "
    "Ceramics Tools Travel Design Insurance Metals Games Books Chemicals Dairy"
)
INDUSTRY = ("Manufacturing", "Retail", "Software", "Healthcare", "Transport", "Public administration")

COUNTRIES = ("US", "DE", "GB", "FR", "AT")
COUNTRY_SHARES = (0.55, 0.16, 0.12, 0.10, 0.07)
COUNTRY_NAMES = {"US": "United States", "DE": "Germany", "GB": "United Kingdom", "FR": "France", "AT": "Austria"}
CITY = {"US": "Albany", "DE": "Bremen", "GB": "Leeds", "FR": "Nantes", "AT": "Graz"}
OTHER_CITY = {"US": "Boise", "DE": "Kassel", "GB": "Derby", "FR": "Dijon", "AT": "Linz"}
STATE = {"US": "NY", "DE": None, "GB": None, "FR": None, "AT": None}
OTHER_STATE = {"US": "ID", "DE": None, "GB": None, "FR": None, "AT": None}
POSTAL = {"US": "12207", "DE": "28195", "GB": "LS1 4AP", "FR": "44000", "AT": "8010"}
OTHER_POSTAL = {"US": "83702", "DE": "34117", "GB": "DE1 1BU", "FR": "21000", "AT": "4020"}
CURRENCY = {"US": "USD", "DE": "EUR", "GB": "GBP", "FR": "EUR", "AT": "EUR"}
LANGUAGE = {"US": "en", "DE": "de", "GB": "en", "FR": "fr", "AT": "de"}
STREET = ("Station Road", "Mill Lane", "Kiln Street", "Orchard Way", "Quay Street", "Foundry Yard")

TITLE = ("Buyer", "Head of Operations", "IT Manager", "Controller", "Plant Manager", "Office Manager", "CFO", "CTO")
NEW_TITLE = ("Director of Purchasing", "VP Operations", "Head of IT", "Finance Lead")
STAGE = ("lead", "opportunity", "customer", "churned")
SEGMENT = ("enterprise", "mid_market", "smb", "public")
TERRITORY = ("north_america", "dach", "uk_ireland", "rest_of_europe")
DEAL_STAGE = ("appointment", "qualified", "proposal", "won", "lost")
PLAN = ("starter", "team", "business")
DEPARTMENT = ("Sales", "Support", "Marketing", "Finance", "Engineering")
TICKET_STATUS = ("new", "open", "pending", "solved", "closed")
PRIORITY = ("low", "normal", "high", "urgent")
SUBJECT = ("Invoice question", "Cannot log in", "Export is slow", "Change of seats", "Delivery is late", "API limit")

AREAS = _words(
    "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 220 223 224 225 227 228 229 231 234 235 "
    "239 240 248 251 252 253 254 256 260 262 267 269 270 272 274 276 279 281 283 301 302 303 304 305 307 308 309 "
    "310 312 313 314 315 316 317 318 319 320 321 323 324 325 326 327 329 330 331 332 334 336 337 339 341 346 347 "
    "350 351 352 353 360 361 363 364 369 380 385 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 "
    "423 424 425 430 432 434 435 440 442 443 445 447 448 458 463 464 469 470 472 475 478 479 480 484 501 502 503 "
    "504 505 507 508 509 510 512 513 515 516 517 518 520 530 531 534 539 540 541 551 557 559 561 562 563 564 567 "
    "570 571 572 573 574 575 580 582 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 "
    "623 626 628 629 630 631 636 640 641 645 646 650 651 656 657 659 660 661 662 667 669 678 680 681 682 689 701 "
    "702 703 704 706 707 708 712 713 714 715 716 717 718 719 720 724 725 726 727 728 730 731 732 734 737 740 743 "
    "747 754 757 760 762 763 765 769 770 771 772 773 774 775 779 781 785 786 801 802 803 804 805 806 808 810 812 "
    "813 814 815 816 817 818 820 826 828 830 831 832 835 838 839 840 843 845 847 848 850 854 856 857 858 859 860 "
    "862 863 864 865 870 872 878 901 903 904 906 907 908 909 910 912 913 914 915 916 917 918 919 920 925 928 929 "
    "930 931 934 936 937 938 940 941 943 945 947 948 949 951 952 954 956 959 970 971 972 973 975 978"
)
"""Area codes whose 555 numbers libraries accept as valid."""
