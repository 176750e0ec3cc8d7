"""Topics of nature: sea, garden, storm, farm, snow, forest, mountain. `story_topics` says how the text is read."""

TEXT = """
# sea
beings: dolphin, whale, crab, octopus:octopuses, seagull, mermaid, seal
places: sea, beach, lighthouse, shore
things: shell, starfish:starfish, pebble, pearl, fish:fish
nouns: wave, sandcastle, jellyfish, sand, seaweed, coral, ocean, tide, surf, lagoon, snorkel, fin
verbs: swim:swam:swum, dive, splash, paddle
adjectives: salty, sandy, foamy
months: May, June, July, August, September
acts: swim in the sea | build a sandcastle | collect shells | dive with the dolphins | splash in the waves
arrive: {When}, {hero} and {friend} ran down to the sea and jumped into the waves.
arrive: {When}, the whole family went to the beach, and {hero} found {a} [pink|white|striped] shell.
arrive: {When}, {hero} saw {a} [young|gray|playful] dolphin close to the shore.
middle: They built a sandcastle with {number} rooms and put a shell on top.
middle: {A} [tiny|red|funny] crab walked sideways over the sand.
middle: {hero} held {his} breath and dived down to the [red|bright] coral.
middle: "Listen," said {friend} and held a shell to {hero}'s ear. "[You can hear the sea|It sounds like/i the ocean]."
middle: The waves splashed against {his} [knees|feet], and the sand was warm.
middle: {number} seagulls sat on the lighthouse and looked at the fish.
problem: But then {a} [huge|big] wave came and washed away the sandcastle. Nothing was left but wet sand.
solved: "Let us build it again," said {hero}. They used seaweed and {number} shells, and the new/j sandcastle was even
  bigger.
problem: Then they saw {a} [young|small] dolphin that lay on the beach. It could not swim back to the sea.
solved: {hero} poured water over the dolphin and called for help/n. Together they carried it over the sand and into the
  waves.
problem: Suddenly the tide came in, and {friend} stood alone on a bit of sand with the sea all around.
solved: {hero} swam through the waves with {a} [rubber|old] tube. {friend} held on tightly, and they swam back to the
  beach.
end: They went home with sandy feet and a pocket full of shells.
end: At night, {hero} could still hear the sound of the sea in the shell beside the bed.

# garden
beings: gardener, butterfly, bee, worm, ladybug, snail
places: garden, greenhouse, flowerbed
things: flower, tulip, seed, carrot, pumpkin, tomato:tomatoes, sunflower, spade, rake
nouns: hedge, soil, petal, blossom, weed, bud, vegetable, nectar, compost, rosebush
verbs: plant, grow:grew:grown, bloom, dig:dug:dug, sprout
adjectives: blooming, flowery
months: March, April, May, June, July, August
acts: plant a flower | dig in the garden | water/v the tulips | pick the carrots | help the gardener
arrive: {When}, {hero} and {friend} planted {number} seeds in the garden.
arrive: {When}, the gardener gave {hero} {a} [small|shiny] spade and a bag of seeds.
arrive: {When}, {hero} discovered {a} [wild|secret|old] garden behind the wall.
middle: {hero} dug {a} [deep|small] hole in the soil and put a seed into it.
middle: A bee flew from flower to flower and looked for nectar.
middle: "[Flowers|Seeds] need water, sun and time," said the gardener.
middle: There were {number} [red|yellow|white] tulips beside the hedge.
middle: {A} [blue|tiny|orange] butterfly sat down on {hero}'s spade.
middle: They pulled out the weeds and found {a} [fat|long] worm in the soil.
problem: But the flowers began to droop. The soil was dry, and nothing would grow.
solved: Every day {hero} carried water to the garden, {number} cans in all. Soon the first bud opened, and the flowers
  bloomed again.
problem: Then {hero} saw that {number} snails were eating the [carrots|pumpkins|tomatoes].
solved: {hero} did not chase the snails away. {He} planted some [soft|green] lettuce for them behind the hedge, and
  the carrots could grow.
problem: Suddenly {his} {pet} ran through the flowerbed and dug a big hole. The tulips lay on the soil.
solved: {hero} put every tulip back into the soil. Then {he} built {a} [little|low] wall around the flowerbed, and the
  tulips bloomed.
end: At the end of summer, they picked the biggest pumpkin of the garden and carried it home.
end: And whenever a flower opened in the garden, {hero} thought of that/d day.

# storm
beings: weatherman:weathermen
places: shelter, porch
things: umbrella, raincoat, lantern, candle
nouns: cloud, raindrop, puddle, shutter, rainbow, storm, thunder, lightning
nouns: rain, wind, flood, hail, gust, drizzle, weather, thunderstorm, leak
verbs: rumble, howl, blow:blew:blown, soak, drip, rain
adjectives: stormy, rainy, windy, thundering
acts: jump in the puddles | watch the lightning | wait for the rainbow | listen to the thunder | light/v a candle
arrive: {When}, dark clouds came over the hill, and {hero} heard the first thunder.
arrive: {When}, {hero} and {friend} were on the way home when the storm began.
arrive: {When}, it began to rain, and the wind pulled at {hero}'s umbrella.
middle: Lightning lit/v up the sky, and then the thunder rumbled.
middle: The rain beat/v on the roof, and the wind howled around the {home}.
middle: "Count with me," said {friend} after the lightning. "One, two, three." Then came the thunder.
middle: {A} [strong|cold|wild] gust of wind blew {a} umbrella down the street.
middle: {hero} put on {a} [yellow|red] raincoat and looked at the black clouds.
middle: There was a puddle in front of the door that was {number} steps wide.
problem: But then the wind broke the window, and the rain came into the room. All the candles went out.
solved: {hero} pushed {a} [thick|heavy] blanket into the window and lit/v a lantern. Now the wind and the rain had to
  stay outside.
problem: Suddenly a flash/n of lightning hit the old bridge. The flood took it away, and {hero}'s {pet} was on the
  other side.
solved: {hero} laid a long board over the water. The {pet} ran across in the rain, and they hurried away from the flood.
problem: Then the lights went out in the storm, and somebody small began to whimper under the table. It was the little
  {pet}.
solved: {hero} lit/v {number} candles and told a story about the thunder. Soon nobody was listening to the wind any
  more.
end: In the morning, the clouds were gone, and a rainbow stood over the {home}.
end: And when the next thunder rumbled, {hero} only pulled up the blanket and counted the raindrops.

# farm
beings: farmer, cow, pig, hen, goat, lamb, horse, rooster, duck, calf:calves
places: farm, barn, stable, pasture
things: egg, pitchfork, horseshoe, wheelbarrow, pail
nouns: tractor, haystack, scarecrow, plow, bale, trough, hay, milk
nouns: wheat, corn, harvest, wool, mud, sheep, straw, foal
verbs: moo, cluck, graze, plow, harvest
adjectives: muddy, rural
acts: feed the pigs | ride the horse | milk/v the cow | drive the tractor | collect the eggs
arrive: {When}, {hero} and {friend} went to the farm to help the farmer.
arrive: {When}, {a} [little|white|lost] lamb stood in front of the door and looked at {hero}.
arrive: {When}, the farmer drove the tractor to the {home} and asked {hero} to look after the cows.
middle: {hero} collected {number} eggs from the hens.
middle: The [brown|spotted|old] cow mooed, and the rooster answered from the roof of the barn.
middle: "Give the horse some hay," said the farmer. "It [likes you|is hungry]."
middle: {A} [pink|fat|dirty] pig rolled in the mud beside the stable.
middle: They sat on top of the haystack and drank a glass of [fresh|warm] milk.
middle: {number} ducks walked behind the tractor in a long row.
problem: But the gate of the pasture was open, and all the sheep were gone. The farmer called, but no lamb came.
solved: {hero} shook a bucket of corn. One sheep came, and then another, and soon all {number} sheep were back in the
  barn.
problem: Then the tractor was stuck in the mud. The farmer could not bring in the hay.
solved: {hero} led the [strong|biggest] horse out of the stable. It pulled once, it pulled twice, and the tractor
  rolled out of the mud.
problem: Suddenly {a} [little|young] calf fell into the ditch behind the barn. The cow mooed and mooed.
solved: {hero} threw some straw into the ditch, and the calf stepped up on it. The cow licked the calf from head to
  tail.
end: In the evening, the farmer gave {hero} {number} eggs and a jug of milk.
end: The little lamb followed {hero} all the way from the farm to the {home}.

# snow
beings: snowman:snowmen, penguin, reindeer:reindeer, skater
places: igloo, frozen lake, ski slope
things: sled, snowball, mitten, scarf:scarves, icicle, ski, shovel, skate
nouns: snowflake, sleigh, snow, ice, winter, frost, blizzard, snowdrift, fireplace, cocoa, snowstorm
verbs: freeze:froze:frozen, melt, slide:slid:slid, skate, ski
adjectives: snowy, icy, frosty, wintry
months: December, January, February
acts: build a snowman | ride on the sled | throw snowballs | skate/v on the ice | slide down the hill
arrive: {When}, {hero} looked out of the window, and the whole world was white with snow.
arrive: {When}, {hero} and {friend} pulled the sled up the snowy hill.
arrive: {When}, {hero} built a snowman with {a} [red|blue|long] scarf, and the snowman began to talk.
middle: They put {number} cherries on the snowman and gave it a hat.
middle: {A} [big|soft|tiny] snowflake landed on {hero}'s nose and began to melt.
middle: {friend} threw a snowball, and it hit {hero} on the [back|arm|hat].
middle: "[Hold on tight|Here we go]!" called {hero}, and the sled flew down the icy hill.
middle: The ice on the lake was so clear that they could see the grass under it.
middle: {hero} wore {number} [sweaters|socks], but {his} mittens were frozen.
problem: But the sun came out, and the snowman began to melt. Its scarf lay in the water.
solved: {hero} put the snowman on the sled and pulled it into {a} [deep|cold] cellar. There it stayed icy until the
  next snow.
problem: Then the sled broke in two, and they were far from home in the snow.
solved: {hero} tied the sled together with {his} scarf. They sat down on it carefully, and it slid all the way home.
problem: Suddenly a blizzard came, and {hero} could not see the way home. Everything was white with snow.
solved: {hero} followed the small holes that the sled had left in the snow. Step by step, they came home through the
  frost.
end: At home, they hung their mittens by the fireplace and drank hot cocoa.
end: At night, the snow fell softly, and the snowman stood in front of the window like/i a friend.

# forest
beings: fox, deer:deer, owl, squirrel, hedgehog, wolf:wolves, badger, bird
places: forest, hut, clearing
things: mushroom, acorn, leaf:leaves, nest, twig, fern, berry, pinecone
nouns: tree, branch, log, moss, bark, trail, oak, root, bush, woods, beaver, feather
verbs: hoot, rustle, gnaw
adjectives: mossy, leafy, shady
acts: sit in a tree | follow the trail | gather berries | look for mushrooms | talk to the owl
arrive: {When}, {hero} and {friend} followed {a} [narrow|winding|secret] trail into the forest.
arrive: {When}, {a} [small|red|clever] fox looked out from behind a tree and waved at {hero}.
arrive: {When}, {hero} went into the forest to gather [mushrooms|berries].
middle: {A} [old|wise|gray] owl sat on a branch and looked down at them.
middle: {number} squirrels ran up and down the oak and threw acorns.
middle: The leaves rustled, and a deer stepped out of the fern.
middle: "Be careful in the forest," said the [owl|hedgehog|badger]. "[The trail has many turns|Do not wake the wolf]."
middle: {hero} filled {his} basket with berries and {number} brown mushrooms.
middle: They sat on a mossy log and shared {a} [sandwich|banana|pear].
problem: But soon all the trees looked the same. They had lost/v the trail, and the forest became dark.
solved: Then the owl hooted. It flew from tree to tree, and {hero} followed it until they saw the end of the forest.
problem: Then {hero} found {a} [tiny|little] bird under a tree. It had fallen out of its nest.
solved: {hero} picked the bird up and went up the tree, branch by branch. Carefully {he} put it back into the nest.
problem: Suddenly the branch broke, and {friend}'s foot was stuck under a heavy log.
solved: {hero} called the animals of the forest. The fox, the badger and {number} squirrels pushed, and the log rolled
  away.
end: When they left the forest, the fox gave {hero} {a} [golden|shiny] leaf.
end: At night, {hero} heard the owl hoot in the trees and fell asleep.

# mountain
beings: climber, hiker, eagle, yodeler, mountain guide
places: mountain, valley, summit, cliff, canyon
things: rope, rock, rucksack, pickaxe
nouns: boulder, cable car, peak, waterfall, ridge, ledge, hike, echo:echoes, height, alp, gorge
verbs: climb, hike, yodel, ascend
adjectives: steep, rocky, mountainous
months: May, June, July, August, September
acts: climb the mountain | hike/v to the waterfall | shout to the echo | stand on the summit | carry the rope
arrive: {When}, {hero} and {friend} packed a rucksack and began to climb the mountain.
arrive: {When}, {hero} looked up at the [high|blue|white] peak. "Today I will stand on that/d summit," {he} said.
arrive: {When}, a mountain guide took {hero} and {friend} to the [steep|great|famous] cliff.
middle: The path/n was steep, and they held on to the rope.
middle: "Hello!" called {hero}, and the echo called back {number} times.
middle: {A} [brown|great|huge] eagle flew around the peak.
middle: They rested on {a} [flat|warm|big] rock and looked down into the valley.
middle: A waterfall came down the cliff and filled the air with [cool|fresh] water.
middle: The guide tied a rope around {hero}. "[Take small steps|Do not look down]," said the guide.
problem: But a boulder had rolled down the mountain and lay across the path/n. They could not climb any higher.
solved: {hero} found {a} [narrow|small] ledge beside the boulder. With the rope in their hands, they walked along the
  cliff and came to the summit.
problem: Then the rope slipped out of {his} hands and fell into the canyon.
solved: {hero} knotted their belts together. It was not a real rope, but it was strong, and they climbed the last rock
  with it.
problem: Suddenly {friend} sat down on a rock. "I cannot climb any more," {friend} said. "The mountain is too high."
solved: "Give me your rucksack," said {hero}. Hand in hand, they hiked along the ridge until they stood on the peak.
end: On the way down, the echo of the mountain said good night/n to {hero}.
end: And {a} [tiny|gray|round] rock from the summit lies on {hero}'s table to this day.
"""
