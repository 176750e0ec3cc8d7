"""Everything that knows Streamlit: the shell of the explorer, what its pages draw with, and how it is started."""
