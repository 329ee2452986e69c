"""The Slicer side of Temporal Registration: nodes to and from the values of DeepRegLogic. Never imports qt or ctk."""
