"""The protocols of the papers, over the folders of the datasets."""
