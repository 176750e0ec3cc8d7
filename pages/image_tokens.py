"""Which code lies where in a picture, and what does changing it change?"""

from app.draw import html
from app.draw.tables import row
from app.images import first_view, image_editor, image_source
from app.shell import address, building, chosen, resources, widgets
from app.shell.pages import end

explorer = resources.explorer()
models = explorer.models()
widgets.draw(html.page_title("Image tokens", "Which code lies where, and what does changing it change?"))
pictures = models[models["kind"] == chosen.page().item]
if "model" not in address.parameters() and (pictures["built"] == "").all():
    widgets.empty("No image tokenizer is built yet.", "Build one here, or any other on the Overview.")
    building.offer(building.next_of(list(pictures["model"])))
    end()
model = chosen.model(models)
about = row(models, "model", model)
built = about.built != ""
live = explorer.live(model)
seed = int(explorer.facts(model)["seed"]) if built else 0
if built and set(address.parameters()) <= {"model"}:  # nothing was chosen: open where there is most to see
    address.write(**first_view.first_view(str(resources.data_dir()), about.built, model, explorer))

picture = image_source.choose(live, built, int(about.items), seed)
if picture is None:
    end()
image_editor.keep_place(model, live, picture)
image_editor.draw(image_editor.Editor(explorer, model, live, built, seed, picture))
