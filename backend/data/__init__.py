"""Items with ground truth. `backend.data.datasets` knows every data set; each is one module with a `SOURCE`."""
