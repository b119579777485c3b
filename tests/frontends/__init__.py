"""twofold in the place of duplicity: under its name, driven by the programs and scripts that people drive it with."""
