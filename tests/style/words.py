"""Words that the prose of the project does not use, each with what to write instead."""

from typing import Final

FORBIDDEN: Final = {
    # Pronouns that name no one. The reader wants to know which process or which record does it.
    r"who(?:so)?ever|whomever": "name the caller, the worker or the process",
    r"whatever": "name it, or `any ...`, `every ...`",
    r"whichever": "name it, or `the one that ...`",
    r"somebody|someone": "name the role: a caller, an operator, another process",
    r"nobody": "`no process`, `no caller`, `no message`, or say what does not happen",
    r"anybody|everybody": "name the role, or `any client`, `every worker`",
    r"strangers?": "`a client outside the product`, `an unknown producer`",
    # Words of contracts and of old books.
    r"thereby|hereby|whereby": "`so`, `in this way`, or a second sentence",
    r"therein|thereof|therefrom|thereupon|wherein|whereof|herein": "name the thing again",
    r"whence|thence|hence": "`so`, `from there`",
    r"hitherto|henceforth|heretofore": "`until now`, `from now on`",
    r"lest": "`so that ... not`",
    r"whilst|amongst": "`while`, `among`",
    r"albeit|notwithstanding": "`although`, `despite`",
    r"upon": "`on`",
    r"unto": "`to`",
    r"(?<!begin-)anew": "`again`",
    r"ought": "`must` or `should`",
    r"shall": "`must` or `will`",
    r"naught|nought|aught": "`nothing`, `anything`",
    r"thrice": "`three times`",
    r"forthwith": "`at once`",
    # Pictures and riddles.
    r"obeys?|obeyed|obeying": "`apply`, `follow`",
    r"tend|tends|tended|tending": "`run`, `check`, or `often ...` for a tendency",
    r"told apart": "`distinguished`",
    r"knows? of no\w*": "`does not know`",
    # Inverted sentences.
    r"(?:is|are|was|were) to be \w+": "`must be ...`, `can be ...` or the active verb",
    r"\w+ed (?:it|they) (?:is|are|was|were)": "the plain order: `it is closed`",
    r"be it|be they": "`if it is`, `whether`",
    r"as it were|so to speak": "leave it out",
    r"for want of": "`because there is no ...`",
    r"by way of": "`with`, `as`",
    r"in (?:its|their) stead|in lieu of": "`instead`",
    r"of one's own": "`its own`",
    r"to be had": "`available`",
    r"(?:is|are) (?:not )?had": "`is available`",
    r"makes? good|made good": "`repairs`, `corrects`",
    r"nothing but": "`only`",
    r"all but": "`almost`, or `all except`",
    r"save for|save that": "`except`",
    r"no sooner": "`as soon as`",
    r"not a (?:byte|record|row|message|event) more": "give the bound in numbers: `at most N`",
    # Names that have been replaced. See `names.py` for those of code.
    r"appointments?": "`timer`",
    r"tally|tallies|tallied": "`event counts`",
    r"sessionis\w*": "`sessionize`",
    # Words that say no more than their neighbours.
    r"utils?|utilit(?:y|ies)": "say what it does",
    r"simply|obviously|of course|clearly": "leave it out",
    r"very|quite": "leave it out, or give a number",
}
"""Pattern of whole words (any case, spaces may be a line break) -> what to write instead."""

PRONOUNS: Final = (
    r"who(?:so)?ever|whomever",
    r"whatever",
    r"whichever",
    r"somebody|someone",
    r"nobody",
    r"anybody|everybody",
)
"""Those of `FORBIDDEN` that the tests do not use either."""
