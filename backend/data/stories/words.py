"""The words of the stories: names, feelings, calendar, numbers, and the part of speech of every shared word."""

from __future__ import annotations

import re

GIRLS = """Lily Anna Emma Mia Ella Sara Nora Clara Zoe Lucy Rita Alice Maya Leila Ivy Hannah Julia Molly Tara Sofia Nina
Eva Amy Grace Olga Yara Freya Bella Kate Priya Lena Ines Amina Carla Dora Fiona Greta Heidi Irma Jana""".split()
BOYS = """Tom Ben Sam Max Leo Tim Jack Noah Finn Oscar Adam Luke Paul Omar Hugo Felix Milo Peter Daniel Jonas Arthur Ivan
Theo Ravi Kenji David Emil Simon Toby Oliver Karl Anton Bruno Carlos Dennis Elias Fred George Henry Isaac""".split()
ELDERS = "mother father grandmother grandfather uncle aunt".split()
MONTHS = """January February March April May June July August September October November December""".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NUMBERS = """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty""".split()
NUMBER_WORDS = frozenset([*NUMBERS, "one", "hundred", "thousand", "first", "second", "third", "fourth", "half"])
ORDINALS = "first second third fourth".split()
COLOURS = "red blue green yellow purple orange pink brown white black gray silver golden turquoise scarlet".split()
PETS = "dog cat rabbit hamster kitten puppy mouse turtle".split()
FOODS = """spaghetti rice porridge pizza toast cheese noodles salad pudding yogurt strawberries apples bananas oatmeal
pears grapes cherries nuts beans peaches waffles plums""".split()
HOMES = "village town city".split()
KEEPSAKES = "marble key ribbon mirror bell thimble pen locket bead handkerchief flashlight".split()

EMOTIONS: dict[str, dict[str, str]] = {
    "happy": {
        "adjective": "happy glad joyful cheerful merry delighted happiest",
        "verb": "smile smiled smiling laugh laughed laughing giggle giggled grin grinned",
        "noun": "joy happiness laughter",
        "adverb": "happily cheerfully",
    },
    "sad": {
        "adjective": "sad unhappy gloomy tearful miserable",
        "verb": "cry cried crying weep wept sob sobbed sighed",
        "noun": "tear tears sadness sigh",
        "adverb": "sadly",
    },
    "angry": {
        "adjective": "angry mad furious grumpy annoyed",
        "verb": "frown frowned frowning yell yelled grumble grumbled glared stamped",
        "noun": "anger",
        "adverb": "angrily",
    },
    "scared": {
        "adjective": "scared afraid frightened terrified fearful",
        "verb": "tremble trembled trembling shivered screamed",
        "noun": "fear",
        "adverb": "fearfully",
    },
    "proud": {"adjective": "proud", "verb": "beamed", "noun": "pride", "adverb": "proudly"},
    "surprised": {
        "adjective": "surprised amazed astonished startled stunned",
        "verb": "gasp gasped stared",
        "noun": "surprise amazement",
        "adverb": "",
    },
}
FEELINGS: dict[str, list[str]] = {
    "happy": "happy glad joyful cheerful merry delighted".split(),
    "sad": "sad unhappy gloomy miserable".split(),
    "angry": "angry mad furious grumpy annoyed".split(),
    "scared": "scared afraid frightened terrified".split(),
    "proud": ["proud"],
    "surprised": "surprised amazed astonished startled stunned".split(),
}
GENDER = {
    **dict.fromkeys("she her hers herself".split(), "female"),
    **dict.fromkeys("he him his himself".split(), "male"),
}


def plural(noun: str) -> str:
    """Form the plural of a noun or noun phrase; `leaf:leaves` says it itself."""
    singular, _, irregular = noun.partition(":")
    if irregular:
        return irregular
    if re.search(r"[^aeiou]y$", singular):
        return singular[:-1] + "ies"
    return singular + ("es" if re.search(r"(s|x|ch|sh)$", singular) else "s")


def noun_forms(noun: str) -> list[str]:
    """Return singular and plural."""
    return [noun.partition(":")[0], plural(noun)]


def verb_forms(verb: str) -> dict[str, str]:
    """Return all forms of a verb -> their tense, "" for participles; `sing:sang:sung` says past and participle itself."""
    base, *irregular = verb.split(":")
    # one vowel and one consonant at the end: `stop` doubles the consonant, `stopping`
    double = re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", base)
    stem = base + base[-1] if double else base[:-1] if base.endswith("e") else base
    soft = re.sub(r"([^aeiou])y$", r"\1i", stem)
    past = irregular[0] if irregular else soft + "ed"
    third = plural(base)
    forms = {stem + "ing": "", (irregular[1] if len(irregular) > 1 else past): "past", past: "past"}
    return {**forms, third: "present", base: "present"}


# Part of speech -> words of the shared frames and of the topics' frames that belong to no topic. The first part of
# speech in which a word stands is its own; a frame says otherwise with `word/v`.
SHARED: dict[str, str] = {
    "pronoun": """
        i you we they it me us them she he him herself himself everyone everybody everything nobody nothing somebody
        anything this these what who other others none yours yes""",
    "determiner": """
        the a an my your our their its her his some any every each no another all both which whose more most many
        such""",
    "preposition": """
        to of in on at by for from with without under over behind beside between before after into near through across
        around against until since up down out off about above along past inside outside during aboard upon toward""",
    "conjunction": """
        and but or so that because if when while than as where whenever whatever why how whether""",
    "number": "one ten three hundred first half twice two",
    "interjection": "oh ah hello ahoy achoo boom please welcome goodbye",
    "adverb": """
        not never always again already almost also alone apart asleep away back backward carefully closer even ever
        everywhere far fast first forever gently hard hardly here higher home how just late later least loudly much
        nearly next now often only once quite slowly slow sideways softly soon still suddenly straight then there
        tight tightly today together tomorrow tonight too twice very well yet yesterday ago better else enough instead
        longer early someday clickety aboard""",
    "adjective": """
        brave less able bad bearded beautiful best bent big bigger biggest bored born bright broken burned busy
        careful cheeky cheery clean clear clever close cold cool curious curly dark dear deep different difficult
        dirty dry dusty early empty enormous fair faraway famous fat favorite few fine finest flat fresh friendly full
        funny gentle giant golden good great greatest half hard heavy hidden high hot huge hungry important iron
        kind large last late little long lost loud lovely low missing mysterious narrow near neat new old open
        own pink playful pretty quiet ready real red right rough round rubber rusty safe same secret sharp shiny
        sideways silent silver sleepy slow small smooth soft sorry special spotted strange strong striped stuck sunny
        sure tall terrible thick thorny tidy tight tin tiny torn true ugly warm wet white whole wide wild winding
        winning wise wooden wrong yellow young blue green black brown gray orange purple turquoise scarlet""",
    "noun person": """
        cousins child boy girl man men woman lady ladies gentlemen people family parents brother brothers sister
        neighbor friend friends mother father grandmother grandfather uncle aunt thief""",
    "noun pet": "dog cat rabbit hamster kitten puppy mouse turtle",
    "noun creature": "animal animals",
    "noun place": """
        house home homes village town city street river hill bridge room rooms door gate window windows wall floor
        roof stairs table ditch hole holes cellar side world place land lands sky middle path background way corner""",
    "noun object": """
        apple bag banana basket bed bell cans belt belts blanket board bottle box bucket chair cloth clothes cup cups
        curtain curtains cushion fuel food footprints glass glasses glue grass hair hat heart ink jar jars jug juice
        key lamp lamps lettuce letter letters light lights line lines mint mirror oranges page pear pillow plate
        plates pocket print prints pudding ribbon sandwich seat shoe shoes sleeve sleeves socks sweaters teddy toy
        trunk tube water wheels cherries grapes spot paw part thing things dinner cable tail arm arms back cheek ear
        ears elbow eye eyes face feet finger foot hand hands head heads knee knees leg legs mouth nose shoulder throat""",
    "noun": """
        ones front string top afternoon air birthday bit breath breaths color course cross circle day days
        end evening flash game games hour hours hundred idea ideas interest kinds meeting minute minutes mistake mood
        moment morning mornings name names night nights number numbers question questions reason row safety secret
        smell sound sounds step steps story stories summer sun tag time times toot turn turns voice while
        wish word words year years""",
    "verb past": """
        cut left tried done was were had did cut could would ate beat became began broke broken brought built came caught chose
        drank drove fell fallen felt flew forgot found gave gone got heard held hid hung hurt kept knew known laid lay
        led left lent lit lost made met mixed put ran rode said sat saw seen shook shot slept spoke spread stood stuck
        taken taught threw thought told took went woke woken wore shown spilled""",
    "verb present": """
        become am is are be been can cannot will would must should may do does don't has have let eat come comes go
        goes get gets give find feel fall fly hold hear keep know learn make put run say see show sit sleep stand take
        tell think throw try bring wake wear win ride hang hangs lies sounds needs likes happens""",
    "verb participle": "coming going eating winning getting making being running taking sitting",
    "verb": """
        show wave add answer ask believe borrow bow build bump burn buy call carry change charge chase circle clack
        clap clean close collect color cook count cover crawl crush dance describe discover dream drink drive droop
        dry end expect fill fit flap follow forget frame gather glue hand happen hear help hit hug hurry invite join
        jump knock knot land last learn leave lick lie lift light like listen live look love mix move name need nod
        open pack pass pick play point polish pour practice promise pull purr push raise reach remember rest roll
        search seem share shout slip smell sniff sound spill start stay step stop swallow sweep swing talk thank tidy
        tie touch toot trail turn use visit wait walk want warm wash watch water wipe wish whimper whisper wonder work
        worry wrap feed drop rise""",
}
