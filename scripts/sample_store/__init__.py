"""Own the Sample Store: product specifications, modelling kit, studio. It knows nothing of the imgsearch package."""
