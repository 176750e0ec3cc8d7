"""The frames that all topics share: openings, feelings, talk, endings. `story_language` says how they are written.

No word of a topic's lexicon stands in them: what they say of the topic comes through the slots `{thing}`, `{things}`,
`{being}`, `{place}` and `{act}`. `OPEN_NEUTRAL` betrays neither topic nor, where it speaks of a child, the pronoun.
"""

from __future__ import annotations

OPEN_NEUTRAL = (
    "Once upon a time, there was {a} [small|little|young|curious] {child} named {hero}.",
    "Once there was {a} {child} named {hero}, who lived in {a} [small|old|yellow|tiny|white] house [by the river|on a hill].",
    "There once lived {a} {child} named {hero} in {a} [quiet|small|pretty] {home}.",
    "{hero} was {a} [kind|clever|curious|friendly] {child} who [asked many questions|liked to help others|was never bored].",
    "In {a} [quiet|little|pretty] {home} lived {a} {child} named {hero}.",
    "Once there was a child who lived in {a} [small|old|quiet] {home}. The child's name was {hero}.",
    "Long ago, in a faraway {home}, there lived a child. Everyone called the child {hero}.",
    "Once upon a time, a child was born in {a} [little|quiet|small] {home}. The child was called {hero}.",
    "This is the story of a child who was {age} years old. The child was called {hero}.",
    "A child named {hero} lived at number {digit} in {a} [long|quiet|narrow] street.",
)
OPEN_TOPIC = (
    "Once upon a time, there was {a} {child} named {hero} who wanted to {act}.",
    "{hero} was {a} [small|young|clever] {child} who wanted {a} {thing} more than anything else.",
    "Every night, {hero} dreamed of {a} {thing}.",
    "Once there was {a} {child} named {hero}, whose greatest wish was to {act}.",
    "In {a} [old|quiet] {home} near {a} {place}, there lived {a} {child} named {hero}.",
    "For a whole year, {hero} had talked of nothing but the {place}.",
)
DETAIL = (
    "{He} was {age} years old and had [brown|black|red|curly|long] hair.",
    "{He} lived at number {digit} with {his} [mother|father|parents|grandmother|grandfather].",
    "{His} favorite food was {food}.",
    "{He} had {a} {pet} that slept at the end of {his} bed.",
    "{He} had {age} cousins and one sister.",
    "{He} always carried {a} {keepsake} in {his} pocket.",
    "{His} favorite color was {favorite}, and even {his} shoes were {favorite}.",
    "Every morning, {he} ate {food} and looked out of the window.",
)
COMPANION = (
    "{friend} lived next door and was {hero}'s best friend.",
    "{His} best friend was named {friend}.",
    "{hero} had {a} [good|dear|funny] friend named {friend}.",
    "{hero} and {friend} did everything together.",
    "{A} [tall|quiet|funny] child named {friend} was always at {hero}'s side.",
    "The two best friends of the {home} were {hero} and {friend}.",
)
WHEN = (
    "One {weekday}",
    "One {weekday} in {month}",
    "On {a} [sunny|bright|early|cool] {weekday} morning",
    "One day in {month}",
    "Last {weekday}",
    "On the {ordinal} {weekday} of {month}",
    "On {month} {digit}",
    "One [quiet|bright] morning",
    "Early one {weekday}",
    "One {weekday} afternoon",
    "Late one {weekday} in {month}",
)
FILL = (
    "{He} counted the {things}. There were {number} of them.",
    '"Look at the {thing}!" {he} said. "[It is so beautiful|I have never seen one like it|Is it yours]?"',
    '"I want to {act}," said {hero}. "[Will you help me|Can we do it together|Is it hard]?"',
    '"Do you know how to {act}?" asked {friend}. "[Not yet|A little|Of course]," said {hero}.',
    "{hero} held the {thing} [carefully|tightly|gently] with both hands.",
    "{friend} had never been so close to {a} {being} before.",
    "The {thing} was [big|heavy|round|small|old] and [shiny|smooth|strange|pretty].",
    "There was {a} [old|new/j|strange|tiny] {thing} right beside the {place}.",
    "{hero} showed the {thing} to {friend}, and {friend} nodded.",
    "{A} [friendly|tall|quiet|curious] {being} came closer and said hello.",
    '"What is that/p?" asked {friend}. "That/p is {a} {thing}," said {hero}.',
    "They stayed near the {place} for {number} minutes, and nobody was bored.",
    "{He} wanted to {act} more than anything else.",
    '"My {elder} told me about {a} {being}," said {friend}. "[Now I believe it|I thought it was only a story]."',
    "First they looked at the {things}, and then they went on to the {place}.",
    "The {being} had {a} {colour} {thing} and gave it to {hero}.",
    "{He} asked the {being} {number} questions, one after the other.",
    "It took {hero} {number} minutes to find the right {thing}.",
    '"Someday I will {act} every day," said {hero}.',
    "The two friends shared some {food} and talked about the {things}.",
    "{hero} put {his} {keepsake} next to the {thing}. They looked good together.",
    "Behind the {place} was {a} [little|old|secret] door, and behind the door was {a} {thing}.",
    '"[Wait for me|Slow down]!" called {friend}, but {hero} was already at the {place}.',
    "{He} learned that every {thing} is different.",
    "{friend} tried to lift the {thing}, but it was too heavy.",
    "{His} {pet} came too and sniffed at the {thing}.",
    "{hero} walked around the {place} {number} times.",
    '"How many {things} are there?" asked {friend}. "At least {digit}," said {hero}.',
    "They had {digit} {things}, which was enough for everyone.",
    "{A} [woman|man|neighbor] with {a} {colour} hat pointed at the {place}.",
)
HELP = (
    "{He} thought for {a} [while|moment|long time]. Then {he} had an idea.",
    '"I have an idea, {hero}," said {friend}. "[Listen|Come closer]."',
    '"[Do not give up|There is always a way]," said {friend}.',
    "{He} remembered what {his} {elder} always said: first think, then do.",
    "{He} took {number} deep breaths.",
    '"We can do it together," said {hero}.',
    '"What can we do now?" asked the {being}.',
    "{He} looked at the {thing} again, and suddenly {he} knew what to do.",
)
CLOSE = (
    "{He} could hardly wait to {act} again.",
    "And so ended the story of {hero} and the {thing}.",
    "{He} told {his} {elder} all about the {being}.",
    "{He} learned that friends can do almost anything together.",
    "Since then, {hero} and {friend} have never stopped talking about the {place}.",
    "That/d night, {he} dreamed of {number} {things}.",
    '"Tomorrow let\'s {act}," said {friend}, and {hero} said yes.',
    "{He} put the {thing} beside {his} bed and went to sleep.",
    '"Good night, {thing}," {he} whispered and closed {his} eyes.',
    "It was a day that nobody in the {home} would ever forget.",
)

# Per emotion: what may be said after the arrival, at the problem, and after the solution.
FEELING: dict[str, dict[str, tuple[str, ...]]] = {
    "happy": {
        "start": (
            "{hero} was so {feeling} that {he} danced around the {place}.",
            "{hero} smiled from ear to ear, because now {he} could {act}.",
            "{friend} giggled, and {hero} laughed out loud.",
            "{hero} felt {feeling} as soon as {he} saw the {thing}.",
            '"I am so {feeling}!" {he} said with a big smile.',
            "Nobody in the whole {home} was as {feeling} as {hero}.",
        ),
        "trouble": (
            "{hero} stayed {feeling}. {He} smiled and looked at the {thing}.",
            '"We are still {feeling}, whatever happens," said {hero} with a laugh/n.',
            "{hero} only giggled. {He} was too {feeling} to worry about the {thing}.",
        ),
        "after": (
            "{hero} laughed and hugged {friend}. What {a} {feeling} day it was!",
            "{He} jumped for joy and smiled at the {being}.",
            "Everyone near the {place} was {feeling}, and {hero} was the happiest of all.",
            '"I have never been so {feeling}," {he} said and laughed.',
            "{His} heart was full of joy, and {he} grinned all the way.",
        ),
    },
    "sad": {
        "start": (
            "But {hero} was {feeling}, for {he} had to think of {his} {elder}, who was far away.",
            "{hero} looked at the {thing}, but {he} still felt a little {feeling}.",
            '"Why are you so {feeling}?" asked {friend}. {hero} only sighed.',
            "{hero} wanted to {act}, but {he} felt too {feeling}.",
            "{hero} sighed sadly and sat down near the {place}.",
        ),
        "trouble": (
            "{hero} was very {feeling}. A tear rolled down {his} cheek.",
            "{hero} sat down beside the {thing} and cried.",
            '"I am so {feeling}," said {hero} and wept into {his} sleeve.',
            "{hero} sobbed. {He} felt so {feeling} that {he} put down the {thing}.",
            "Tears came to {hero}'s eyes, and {he} sighed a long, {feeling} sigh.",
        ),
        "after": (
            "{He} wiped away the last tear. Now {he} was not {feeling} any more.",
            "{friend} dried {his} tears, and all the sadness was gone.",
            '"I was so {feeling} before," {he} said, "but now I feel better."',
            "Nobody had to cry any more, and even the {being} looked less {feeling}.",
        ),
    },
    "angry": {
        "start": (
            "But {hero} was {feeling}, because {friend} had been late again.",
            "{hero} was still {feeling} about the morning and stamped {his} foot.",
            '"Do not touch the {thing}!" {he} yelled. {He} was in {a} {feeling} mood.',
            "{hero} frowned at the {thing}. {He} had been {feeling} all day.",
            '"Why can {friend} {act}, and I cannot?" {hero} grumbled.',
        ),
        "trouble": (
            "{hero} was {feeling}. {He} stamped {his} foot and yelled.",
            '"That/p is not fair!" yelled {hero}. {His} face was red with anger.',
            "{hero} was so {feeling} that {he} did not even look at the {thing}.",
            "{hero} frowned and glared at the {place}. {He} felt {feeling}.",
            '"I am too {feeling} to {act}!" grumbled {hero}.',
        ),
        "after": (
            "{hero} stopped frowning. {His} anger was gone, and {he} said sorry to {friend}.",
            '"I should not have been so {feeling}," {he} said to the {being}.',
            "{He} was not {feeling} any more. Nobody can be {feeling} and {act} at the same time.",
            "{He} had yelled at everyone, and {he} was sorry that {he} had been so {feeling}.",
        ),
    },
    "scared": {
        "start": (
            "Everything near the {place} was new/j, and {hero} felt {feeling}.",
            "{hero} was {feeling}, because {he} had never tried to {act}.",
            '"I am {feeling}," {he} whispered. "Is the {place} safe?"',
            "{hero}'s knees trembled when {he} saw the {being}.",
            "{hero} was too {feeling} to {act}, so {he} hid behind {friend}.",
        ),
        "trouble": (
            "{hero} was {feeling}. {His} heart beat/v fast, and {his} hands trembled.",
            "{hero} screamed and held {friend}'s hand.",
            '"I am so {feeling}!" whispered {hero}.',
            "{hero} shivered with fear and could not move.",
            "{hero} felt {feeling}. {He} held on to the {thing} and trembled.",
        ),
        "after": (
            "{hero} was not {feeling} any more. The fear was gone.",
            '"I was so {feeling}," {he} said, "but I did it."',
            "{His} hands stopped trembling, and {he} was no longer {feeling}. Now {he} could {act}.",
            "{He} had been {feeling}, and still {he} had not run away from the {place}.",
        ),
    },
    "proud": {
        "start": (
            "{hero} felt {feeling}, because not every child can {act}.",
            "{hero} stood up {feeling} and tall beside the {thing}.",
            '"Your {elder} will be so {feeling} of you," said {friend}.',
            "{hero} was {feeling} of {his} {thing} and showed it to everyone.",
            "{hero} felt {feeling}, for nobody else in the {home} had {a} {thing}.",
        ),
        "trouble": (
            "But {hero} was too {feeling} to give up on the {thing}.",
            '"{A} {feeling} {child} does not run away," said {hero}.',
            "{hero} stood up straight and felt {feeling} and strong.",
        ),
        "after": (
            "{hero} was {feeling} of what {he} had done.",
            '"We are so {feeling} of you!" said {friend} and the {being}.',
            "{He} beamed with pride and held up the {thing}.",
            "{friend} was {feeling} of {hero}, and {hero} was {feeling} of {friend}.",
            "{He} walked past the {place} {feeling} and tall.",
        ),
    },
    "surprised": {
        "start": (
            "{hero} was {feeling} and opened {his} eyes wide.",
            '"Oh!" {he} gasped. {He} was {feeling} to see {a} {thing}.',
            "{hero} was so {feeling} that {he} forgot to close/v {his} mouth.",
            '"What a surprise!" said {hero}. "I did not expect {a} {being}."',
            "{friend} was just as {feeling} as {hero} to be so close to the {place}.",
        ),
        "trouble": (
            "{hero} was {feeling}. {He} gasped and looked at the {thing} again.",
            '"How can that/p be?" gasped {hero}. {He} was {feeling}.',
            "Everyone was {feeling}, even the {being}.",
            "{hero} stared in surprise and did not say a word.",
        ),
        "after": (
            "{hero} was {feeling} that it had worked so well.",
            '"What a surprise!" said {friend}. "I am {feeling}!"',
            "The {being} gasped, and {friend} looked {feeling}.",
            "{He} was {feeling}. {He} had not known that {he} could do it.",
        ),
    },
}
