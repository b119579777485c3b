"""gio+…:// : whatever GNOME's GVfs reaches, by the program gio."""
