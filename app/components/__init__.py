"""Small pieces that run in the browser: they build elements with `textContent`; data come as JSON, never as HTML."""
