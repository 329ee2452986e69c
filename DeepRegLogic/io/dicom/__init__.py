"""DICOM: series in folders, classic series of one image a file, multi-frame files, stacks, pixels and their size."""
