"""Topics of the town: football, kitchen, music, school, train, painting, doctor. `story_topics` says how to read them."""

TEXT = """
# football
beings: coach, goalkeeper, referee, striker, teammate
places: football field, stadium
things: ball, trophy, jersey, whistle, medal
nouns: goal, net, scoreboard, football, team, match, penalty, halftime, player, field, kickoff, league
verbs: score, kick, dribble, tackle, defend
adjectives: sporty, offside, unbeaten
acts: play football | score a goal | kick the ball | win the match | play for the team
arrive: {When}, {hero} and {friend} went to the field to play football.
arrive: {When}, the coach called {hero}. "You are on the team today," said the coach.
arrive: {When}, {hero} put on {a} [red|blue|striped] jersey, because it was the day of the big match.
middle: {hero} kicked the ball as [hard|far] as {he} could.
middle: The goalkeeper jumped to the [left/n|right/n], but the ball flew into the net.
middle: The referee lifted the whistle, and the match began.
middle: "Pass me the ball!" called {friend} from the other side of the field.
middle: At halftime, each team had {number} goals, and the players drank [cold|fresh] water.
middle: {hero} dribbled past {number} players and looked for a teammate.
problem: But in the last minute of the match, the ball rolled into {a} [thorny|deep] ditch. Without it, nobody could
  score.
solved: {hero} crawled into the ditch and brought the ball back. Then {he} took one [big|long] kick/n and scored the
  winning goal.
problem: Then the goalkeeper fell and hurt a knee. The team had nobody to stand in the goal.
solved: {hero} rolled up {his} sleeves and stood in the goal. The striker kicked, {hero} jumped, and {he} caught the
  ball.
problem: Suddenly the other team scored {number} goals. "We will never win this match," said a teammate.
solved: "Come on, team!" called {hero}. {He} passed the ball to {friend}, and {friend} kicked it right into the net.
end: After the match, the coach gave the team {a} [golden|shiny] trophy.
end: That/d night, {hero} slept with the football under {his} arm.

# kitchen
beings: chef, baker, cook
places: kitchen, bakery
things: cake, spoon, bowl, pie, cookie, pancake, pan, apron, recipe, loaf:loaves, muffin, whisk
nouns: oven, bread, soup, flour, sugar, butter, dough, honey, pepper, stove, jam, cinnamon, sauce, chocolate, cream
verbs: bake, stir, knead, taste, fry, boil, sprinkle
adjectives: delicious, tasty, sweet, crispy, buttery, sugary
acts: bake a cake | stir the soup | taste the dough | knead the bread | cook/v with the chef
arrive: {When}, {hero} and {friend} wanted to bake {a} [big|round|special] cake in the kitchen.
arrive: {When}, {a} [sweet|delicious] smell came out of the kitchen, and {hero} ran to the oven.
arrive: {When}, {hero} tied on {a} [white|clean|old] apron and opened a recipe for [bread|soup|pancakes].
middle: {hero} put {number} spoons of sugar into the bowl.
middle: {He} stirred the dough until it was [smooth|soft], and then {he} tasted it.
middle: "We need more [flour|butter|sugar]," said {friend} and opened the jar/n.
middle: The oven was hot, and the cookies turned [brown|golden].
middle: There was flour on the table, on the floor and on {hero}'s nose.
middle: The baker showed them how to knead the bread with both hands.
problem: But when {he} opened the oven, the cake was [black|burned]. The whole kitchen smelled bad.
solved: {hero} did not stop. {He} took a new/j bowl, mixed flour and butter again, and this time the cake was delicious.
problem: Then the bowl slipped and fell. All the soup was on the kitchen floor.
solved: {hero} cleaned the floor and found {a} old recipe. They cooked a new/j soup, and it was even more tasty than
  the first.
problem: Suddenly {hero} saw that the sugar was gone. "How can we bake cookies without sugar?" {he} asked.
solved: {friend} ran home and came back with {a} [jar|cup] of honey. They put the honey into the dough, and the
  cookies were sweet.
end: In the evening, they all sat in the kitchen and ate the [sweet|delicious|warm] cake.
end: And {hero} wrapped one [crispy|buttery] cookie in a cloth and kept it for {friend}.

# music
beings: singer, musician, drummer, pianist
places: concert hall, stage
things: piano, violin, drum, flute, guitar, trumpet, microphone, harp
nouns: song, melody, tune, music, choir, orchestra, band, concert, rhythm, chord, instrument, duet, note
verbs: sing:sang:sung, strum, hum, drum
adjectives: musical, tuneful, melodic
acts: sing a song | play the piano | play the drum | give a concert | hum the melody
arrive: {When}, {hero} heard {a} [soft|strange|lovely] melody through the open window.
arrive: {When}, {hero} and {friend} started a band with a guitar and {a} [old|small] drum.
arrive: {When}, {hero} found {a} [old|brown|dusty] violin in a trunk, and {he} wanted to learn music.
middle: {hero} played the [piano|flute|guitar] while {friend} sang a song.
middle: The drum went boom, boom, boom, and everybody clapped to the rhythm.
middle: "Listen to this tune," said the musician and picked up {a} [trumpet|violin|flute].
middle: {He} practiced the same song {number} times, until the melody was [right|clear].
middle: The choir began to sing, first softly and then very loudly.
middle: {hero} hummed the melody all the way home.
problem: But just before the concert, a string of the violin broke. There could be no music without it.
solved: {hero} borrowed a guitar and played the melody on that/p. The song sounded even better, and the whole choir sang
  along.
problem: Then {hero} stood on the stage and forgot the song. The whole concert hall was silent.
solved: {friend} began to hum the tune. {hero} heard it, took a deep breath, and sang the song to the end.
problem: Suddenly the singer had no voice left. "I cannot sing tonight," whispered the singer, and the band stopped.
solved: "Then we will all sing," said {hero}. {He} strummed the guitar, and a hundred people sang the song together.
end: After the concert, everyone went home with the same song in their heads.
end: And every night, {hero} played {a} [soft|quiet] tune on the flute before bed.

# school
beings: teacher, pupil, classmate, librarian
places: school, classroom, library, playground
things: book, pencil, eraser, backpack, notebook, textbook, globe
nouns: desk, blackboard, poem, lesson, homework, alphabet, chalk, class, grade, grammar, dictionary, sum
verbs: spell, read:read:read, write:wrote:written, study
adjectives: studious, schoolwide
acts: go to school | read a book | learn the alphabet | write a poem | ask the teacher
arrive: {When}, {hero} and {friend} walked to school with a new/j backpack.
arrive: {When}, the teacher came into the classroom with {a} [big|strange|mysterious] box.
arrive: {When}, {hero} sat down at {a} [old|small|new/j] desk, for it was the first day of school.
middle: The teacher wrote {number} words on the blackboard.
middle: {hero} raised a hand and answered the teacher's question.
middle: "Open/v your [books|notebooks]," said the teacher. "Today we will read about [animals|faraway lands]."
middle: {friend} lent {hero} {a} [blue|sharp|new/j] pencil, and they did the homework together.
middle: On the playground, {number} pupils played [tag|games] until the next lesson.
middle: {hero} read every word of the book, even the [long|difficult] ones.
problem: But {hero} could not find the homework. It was not in the backpack, and the teacher was waiting.
solved: Then a classmate came to the desk. "Is this yours?" The homework had been in the library all the time, between
  two books.
problem: Then the teacher asked {hero} to spell {a} [long|difficult] word in front of the class.
solved: {hero} closed {his} eyes and thought of the alphabet. {He} spelled the word, letter by letter, and the whole
  class clapped.
problem: Suddenly a new/j pupil began to look lost in the classroom. Nobody wanted to share a desk.
solved: {hero} carried {his} books across the room. "You can sit at my desk," {he} said, and they read the lesson
  together.
end: When the lesson was over, the teacher wrote {hero}'s name on the blackboard in [big|neat] letters.
end: Since that/d day, {hero} has been the first to come into the classroom every morning.

# train
beings: driver, passenger, stationmaster
places: station, platform, tunnel, railway
things: ticket, suitcase, timetable, postcard
nouns: train, wagon, locomotive, railcar, signal, rail, engine, steam, horn, journey, luggage, brake, caboose, coal
verbs: chug, clatter, depart
adjectives: speedy, steaming
acts: ride on the train | buy a ticket | look at the trains | drive the engine | watch the trains
arrive: {When}, {hero} and {friend} stood on the platform and waited for the train.
arrive: {When}, {a} [red|long|green] train rolled into the station with {a} [loud|cheery] toot.
arrive: {When}, {hero} packed {a} [small|brown|heavy] suitcase and went to the station.
middle: The train went through {a} [long|dark] tunnel, and everyone whispered.
middle: "Tickets, please," said the [tall|friendly|old] driver. {hero} held up {his} ticket.
middle: There were {number} wagons behind the [big|black|old] locomotive.
middle: Clickety clack, went the train along the rails.
middle: A passenger with {a} enormous suitcase sat down beside {friend}.
middle: White steam came out of the engine, and the horn tooted {number} times.
problem: But then the train stopped in the middle of a tunnel. The engine was [cold|broken].
solved: {hero} and the other passengers carried coal to the engine. Slowly the locomotive began to chug, and they came
  out of the tunnel.
problem: Then {hero} looked in {his} pocket. The ticket was gone, and the train was about to depart.
solved: {friend} looked under the suitcase. There lay the ticket. They jumped into the last wagon just before the
  train left.
problem: Suddenly {hero} saw {a} [big|brown] dog on the rails. The train was coming fast.
solved: {hero} ran to the signal and waved a red cloth. The driver pulled the brake, and the train stopped in time.
end: At the last station, the driver let {hero} toot/v the horn of the train.
end: {hero} put the ticket under {his} pillow and dreamed of the long journey.

# painting
beings: painter, artist, sculptor
places: studio, museum, gallery
things: picture, brush, easel, canvas:canvases, palette, portrait, crayon, sculpture, drawing, sketch
nouns: paint, painting, art, clay, mural, masterpiece, exhibition, watercolor, glitter
verbs: paint, draw:drew:drawn, sketch, dip, smear
adjectives: colorful, artistic
acts: paint/v a picture | draw a portrait | mix the paint | visit the museum | dip the brush
arrive: {When}, {hero} and {friend} found {number} jars of paint and {a} [thick|soft] brush.
arrive: {When}, {hero} went to the museum to see a famous painting.
arrive: {When}, {a} [old|kind|famous] painter asked {hero} to help in the studio.
middle: {hero} dipped the brush into the [red|blue|yellow] paint.
middle: First {he} drew {a} [circle|line|face], and then {he} painted the [sky|eyes|background].
middle: "A painter must look at things for a long time," said the artist.
middle: There was paint on the easel, on the floor and on {hero}'s [nose|shoes].
middle: In the gallery hung a portrait of {a} [lady|man|cat] with {a} [green|strange] hat.
middle: They mixed [blue|red] paint with yellow, and the picture became more and more colorful.
problem: But then {his} {pet} ran across the [wet|new/j] painting. There were {number} paw prints on the canvas.
solved: {hero} took a brush and turned each print into {a} [tiny|red] heart. Now the painting was funny and colorful.
problem: Then the [red|blue] paint was empty, and the picture was only half done.
solved: {hero} crushed some [cherries|grapes] and dipped the brush into the juice. It made the most
  [beautiful|colorful] paint of all.
problem: Suddenly somebody bumped into the easel, and the portrait fell on the floor. The canvas was torn.
solved: {hero} glued the canvas together and painted {a} [golden|silver] line over the hole. The artist said that it
  was a masterpiece.
end: The picture was hung in the [big|town] gallery, where everyone could see it.
end: And above {hero}'s bed hangs the painting to this day.

# doctor
beings: doctor, nurse, patient
places: hospital, clinic
things: bandage, stethoscope, thermometer, crutch, plaster, sling
nouns: pill, ambulance, wheelchair, medicine, fever, cough, ointment, germ, bruise, ache, vaccine, operation, health
verbs: heal, cure, sneeze, cough, bandage
adjectives: sick, healthy, feverish, sore, dizzy
acts: visit the hospital | help the nurse | use the stethoscope | ride in the ambulance | become a doctor
arrive: {When}, {hero} woke up with a sore throat and went to the doctor.
arrive: {When}, {hero} and {friend} went to the hospital to visit a sick friend.
arrive: {When}, the [old|kind|new/j] doctor asked {hero} to help at the clinic.
middle: The doctor listened to {friend}'s heart with a stethoscope.
middle: A nurse wrapped {a} [white|clean|long] bandage around {a} [arm|knee|elbow].
middle: "Open/v your mouth and say ah," said the doctor.
middle: The nurse looked at the thermometer. It was only a little fever.
middle: The medicine smelled of [mint|cherries|oranges], and {hero} swallowed it.
middle: {number} patients were waiting in the rooms of the [little|big] hospital.
problem: But {friend} began to sneeze and could not stop. The doctor had run out of medicine.
solved: {hero} ran to the clinic across the street and came back with a bottle of medicine. Soon the fever was gone
  and {friend} was healthy.
problem: Then {a} [little|small] patient did not want to take the pill. "It is too big," came a voice from under the
  blanket.
solved: {hero} told a story while the nurse hid the pill in a cup of pudding. The patient swallowed it and felt
  healthy again.
problem: Suddenly {hero} fell on the stairs and hurt {his} leg. It was so sore that {he} could not walk.
solved: The doctor put a bandage on it, and the nurse gave {him} a crutch. After {number} days, the leg was healed.
end: When they left the hospital, the nurse gave {hero} {a} [yellow|funny|bright] bandage for {his} teddy.
end: "One day I will be a doctor," said {hero} that/d night.
"""
