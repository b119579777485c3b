Hostname vm
Localdir source
Volume 1:
    StartingPath   changes  
    EndingPath     order/dir/sub/f  
    Hash SHA1 58a3409b66e1f0904009bbf08e66e8ad77e7268a
Filelist 11
    new      changes/deleted
    new      changes/doomed
    changed  changes/long
    changed  changes/middle
    new      changes/to-folder
    deleted  changes/to-folder/inside
    changed  hard-1
    changed  hard-2
    new      "names/new\x0aline"
    deleted  order/dir/b
    deleted  order/dir/sub/f
