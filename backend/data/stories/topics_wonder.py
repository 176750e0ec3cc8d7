"""Topics of wonder: dragon, princess, pirate, space, robot, circus. `story_topics` says how the text is read."""

TEXT = """
# dragon
beings: dragon, knight, wizard
places: cave, lair, volcano
things: scale, shield, sword, potion, wand, amulet
nouns: claw, wing, spike, fang, fire, flame, smoke, spark, armor, ash, magic, beast
verbs: roar, breathe, swoop, soar, scorch
adjectives: scaly, fiery, fierce, smoky, winged, magical
acts: ride on the dragon | breathe fire | polish the dragon's scales | talk with the wizard | sleep in the lair
arrive: {When}, {hero} and {friend} found {a} [deep|dark|warm] cave, and in the cave sat {a} [green|red|blue] dragon.
arrive: {When}, {a} [huge|young|green|silver] dragon flew over the hill and came down right in front of {hero}.
arrive: {When}, a knight in [old|shiny] armor knocked on the door and told {hero} about {a} [fierce|sleepy] dragon.
middle: The dragon opened its [huge|great] mouth, and a little smoke came out.
middle: Every scale was as shiny as [silver|glass], and each claw was as long as {a} [arm|finger].
middle: "I have lived in this cave for {number} hundred years," said the dragon in {a} [deep|soft|rough] voice.
middle: The [fiery|scaly|winged] beast flapped one wing, and the whole cave shook.
middle: {hero} touched {a} [warm|smooth|shiny] scale, and the dragon purred like/i {a} [huge|giant] cat.
middle: The wizard showed them a potion that made every flame turn/v [blue|purple|green].
problem: But the dragon had {a} [bad|terrible] cold, and it could not breathe fire any more. The lair became dark.
solved: {hero} gave the dragon a warm drink/n with a magic potion. "Achoo!" {A} [bright|great] flame shot out, and the
  fire was back.
problem: Then a knight came with {a} [long|sharp] sword. "I must chase this dragon away!" called the knight.
solved: {hero} stepped in front of the dragon. "This dragon is our friend," {he} said. The knight put down the sword
  and the shield.
problem: Suddenly the dragon slipped and hurt its wing. It could not get out of the [deep|dark] cave.
solved: {hero} tied a soft cloth around the wing. After {a} [while|moment], the dragon spread both wings and could
  soar again.
end: That/d evening, the dragon carried {hero} home through the [pink|red] sky, and a little smoke trailed behind them.
end: From then on, the dragon breathed fire only to light/v the lamps of the {home}.

# princess
beings: princess, prince, queen, king, servant, guard
places: palace, castle, ballroom, tower, kingdom
things: crown, gown, jewel, necklace, tiara, slipper, scepter, goblet
nouns: throne, carriage, banquet, velvet, diamond, ruby, majesty, moat, drawbridge, silk
verbs: curtsy, reign, crown
adjectives: royal, noble, regal, majestic, elegant
acts: live in a castle | wear the crown | visit the princess | sit on the throne | ride in the royal carriage
arrive: {When}, {a} [golden|royal] carriage stopped at the gate, and a princess stepped out.
arrive: {When}, {hero} and {friend} were invited to the castle by the [old|young] queen.
arrive: {When}, {hero} walked over the drawbridge and into the palace of the [kind|good] king.
middle: The princess wore {a} [white|blue|purple] gown with {number} jewels on it.
middle: The king sat on the throne, and the queen wore a crown of [red|bright] rubies.
middle: "Welcome to the palace," said the princess. "[Please sit beside me|Come, I will show you my tower]."
middle: {A} [old|young|tall] servant brought a goblet on a velvet cushion.
middle: {hero} bowed to the queen, and the queen gave {him} {a} [little|kind] nod from the throne.
middle: From the top of the tower, they could see the whole kingdom.
problem: But then the princess looked into the mirror. "My crown is gone," said the princess. "Without it, there can
  be no banquet."
solved: {hero} looked under every throne and behind every curtain. At last/r {he} found the crown in the [royal|old]
  carriage.
problem: Suddenly the drawbridge was stuck, and no guard could open it. The prince was still outside the castle.
solved: {hero} found {a} [small|rusty|strange] key in the tower. It fit, the drawbridge came down, and the prince came
  home to the palace.
problem: Then a servant spilled [juice|ink] on the gown. "What will the queen say?" whispered the princess.
solved: {hero} covered the spot with a ribbon and {a} [shiny|tiny] jewel. Now the gown was the finest in the kingdom.
end: That/d night, the king gave {hero} {a} [small|tiny] ruby, and the royal carriage brought {him} home.
end: And the princess said that {hero} would always have a seat beside the throne.

# pirate
beings: pirate, captain, sailor, parrot
places: ship, island, harbor, deck
things: map, coin, compass, spyglass, eyepatch, chest
nouns: anchor, cannon, plank, treasure, gold, crew, mast, sail, hammock, barrel
verbs: sail, bury, plunder
adjectives: seafaring, swashbuckling, buried
acts: sail/v on the pirate ship | look for treasure | follow the map | bury the gold | be captain for a day
arrive: {When}, {hero} found {a} [old|torn|yellow] treasure map under the bed.
arrive: {When}, a pirate ship with {a} [black|red] sail came into the harbor.
arrive: {When}, {hero} and {friend} went aboard the ship of {a} [famous|friendly|bearded] pirate.
middle: The captain had {a} [wooden|iron] leg and a parrot that sat on the mast all day.
middle: "Ahoy!" called the pirate. "[We sail/v at once|All hands on deck]!"
middle: {hero} looked through the spyglass and saw {a} [tiny|green|empty] island.
middle: The crew pulled up the anchor, and the ship began to move.
middle: The parrot sat on {hero}'s shoulder and shouted, "[Gold|Treasure]! [Gold|Treasure]!"
middle: The map showed {a} [red|black] cross, {number} steps from the harbor.
problem: But when they came to the island, a page/n of the map was missing. Nobody knew where the treasure was.
solved: {hero} followed the parrot to {a} [old|empty] barrel. Under the barrel lay the treasure chest, full of gold.
problem: Then the ship stopped. The anchor was caught, and the crew could not sail/v.
solved: {hero} tied {a} [long|strong] line to the mast, and all the pirates pulled together. The anchor came up, and
  the ship could sail/v on.
problem: Suddenly the captain shouted, "[Somebody|A thief] has taken my compass! Without it our ship is lost!"
solved: {hero} searched the whole deck. The parrot had hidden the compass in a cannon. The captain thanked {him} with
  {a} [big|shiny] coin.
end: The captain gave {hero} {number} gold coins, and the ship sailed home.
end: That/d night, the pirate crew danced on the deck, and {hero} fell asleep in a hammock.

# space
beings: alien, astronaut, martian
places: moon, planet, observatory, crater
things: rocket, telescope, helmet, spacesuit, moonstone
nouns: star, comet, spaceship, satellite, meteor, space, galaxy
nouns: universe, orbit, gravity, stardust, cockpit, countdown, liftoff
verbs: launch, zoom, orbit, float
adjectives: starry, lunar, weightless, cosmic
acts: fly to the moon | build a rocket | float in space | count the stars | visit another planet
arrive: {When}, {hero} and {friend} built a rocket and flew to the moon.
arrive: {When}, {hero} looked through a telescope and saw {a} [strange|green|purple] planet.
arrive: {When}, {a} [small|round|silver] spaceship came down behind the {home}, and {a} [tiny|green] alien came out.
middle: "Three, two, one, launch!" The rocket shook, and soon they were in space.
middle: Inside the spaceship, everything began to float, even {hero}'s [sandwich|left/j shoe].
middle: The alien had {number} [eyes|arms] and a helmet made of glass.
middle: Through the round window, they saw a comet with {a} [long|bright] tail.
middle: "[This/d|That/d] planet has {number} moons," said the astronaut.
middle: {hero} walked across a crater and left [deep|small] footprints on the moon.
problem: But the rocket had no more fuel. They were stuck/j on a faraway planet, and the stars looked very [small|cold].
solved: {A} [kind|friendly] alien filled the rocket with stardust. {hero} counted down from ten, and they could launch
  again.
problem: Suddenly a meteor hit the spaceship, and there was a hole in the cockpit.
solved: {hero} put on a spacesuit and floated outside. {He} closed the hole with {a} [strong|silver] plate, and the
  spaceship was safe.
problem: Then the alien looked down. "I cannot find my home planet," it said. "There are so many stars."
solved: {hero} turned the telescope to every part of the galaxy. "There!" {he} said. "Your planet is behind that/d comet!"
end: When the rocket came home, {hero} looked up at the moon and waved to the stars.
end: That/d night, a new/j star stood in the sky, and {hero} knew that the alien was waving.

# robot
beings: robot, inventor, machine
places: workshop, laboratory
things: button, battery, wire, lever, gear, bolt, antenna, screwdriver
nouns: circuit, motor, metal, steel, electricity, toolbox, oil, sensor, invention, program
verbs: beep, whir, buzz, repair, invent, recharge
adjectives: electric, mechanical, robotic, metallic
acts: build a robot | charge the battery | repair the machine | push every button | oil/v the robot
arrive: {When}, {hero} opened {a} [large|heavy|dusty] trunk and found a little robot.
arrive: {When}, {hero} and {friend} visited the workshop of {a} [old|clever|famous] inventor.
arrive: {When}, {hero} built a robot out of {number} tin cans and {a} [old|red] battery.
middle: "Beep! I am a robot," said the machine. "[What is your name|How can I help you]?"
middle: The robot could [sweep|wash|clean] the floor and beep at the same time.
middle: {hero} pushed the [green|red|biggest] button, and the motor began to whir.
middle: There was {a} [yellow|blue] wire in its arm and {a} [long|bent] antenna on its head.
middle: The inventor turned a lever, and {number} gears started to move.
middle: The robot rolled across the workshop on {number} small wheels/n.
problem: But then the robot stopped. Its battery was empty, and it could not even beep.
solved: {hero} found a new/j battery in the toolbox. {He} put it in, and the robot beeped {number} times.
problem: Suddenly the machine went wild. It threw {number} bolts through the workshop.
solved: {hero} crawled under the table and pulled the lever. The motor stopped, and the robot said, "Beep. I am sorry."
problem: Then {a} important gear fell out of the robot and rolled away. Its arm did not move any more.
solved: {hero} used a screwdriver and {a} old bolt to repair the arm. "Beep, beep," said the robot and shook {his} hand.
end: Every evening since then, the robot has helped {hero} tidy the workshop.
end: When {hero} went to bed, the robot turned off its motor and beeped very softly.

# circus
beings: clown, acrobat, juggler, magician, elephant, lion, ringmaster, monkey
places: circus, circus tent
things: balloon, hoop, unicycle, costume, wig
nouns: trapeze, tightrope, spotlight, popcorn, audience, applause
nouns: trick, somersault, cartwheel, stilts, confetti, tent
verbs: juggle, tumble, somersault
adjectives: acrobatic, daring, spectacular
acts: juggle with the clown | walk on the tightrope | see the elephant | learn a circus trick | swing on the trapeze
arrive: {When}, the circus came to town with {number} clowns and {a} [old|enormous|gray] elephant.
arrive: {When}, {hero} and {friend} sat in the front row of the circus tent.
arrive: {When}, {hero} saw {a} [red|striped|huge] tent and a clown with {a} [green|purple|yellow] wig.
middle: The juggler threw {number} [plates|oranges|cups] into the air, and the audience clapped.
middle: {A} acrobat hung from the trapeze by one [foot|hand].
middle: "Ladies and gentlemen!" called the ringmaster. "[Here comes the elephant|Look up at the tightrope]!"
middle: The clown slipped on a banana, and confetti flew everywhere.
middle: The elephant lifted {hero} up with its long trunk/n.
middle: {A} [little|cheeky] monkey rode through the tent on a unicycle.
problem: But the clown had lost/v {a} [round|big|blue] nose. "Without it I cannot do my trick," said the clown.
solved: {hero} found a round, red apple and cut a hole in it. The clown put it on, and the audience clapped for a long
  time.
problem: Suddenly the lion ran away, and the ringmaster did not know where it was. The audience became quiet.
solved: {hero} found the lion asleep behind the popcorn. {He} called it with a soft voice, and it followed {him} back
  to the tent.
problem: Then the juggler hurt a finger and could not juggle. The circus needed somebody new/j.
solved: "I can try," said {hero}. {He} did a somersault and {a} [funny|brave] cartwheel, and the whole audience stood
  up.
end: When the lights went out, the clown gave {hero} {a} [red|yellow] balloon to take home.
end: All the way home, {hero} walked along the wall as if it were a tightrope.
"""
