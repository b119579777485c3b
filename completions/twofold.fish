# fish completion for twofold(1), made from its table of options: do not edit

# The words of the command line before the cursor that are neither options nor values of them; fails where a value of
# the option before is wanted.
function __twofold_words
    set -l left 0
    set -l only_words no
    for word in (commandline -opc)[2..-1]
        if test $left -gt 0
            set left (math $left - 1)
        else if test $only_words = yes; or not string match --quiet -- '-?*' $word
            printf '%s\n' $word
        else if test $word = --
            set only_words yes
        else if contains -- $word -v --verbosity --log-fd --log-file --tempdir --config-dir --current-time --compression-level --concurrency --full-if-n-inc --full-if-older-than --max-blocksize --progress-rate --skip-volume --volsize --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-if-present --exclude-older-than --files-from --include-globbing-filelist --exclude-globbing-filelist --copy-blocksize --file-changed --sample -r --path-to-restore --file-to-restore -t --restore-time --time --show-changes-in-set --time-separator --encrypt-key --hidden-encrypt-key --sign-key --encrypt-sign-key --encrypt-secret-keyring --gpg-binary --gpg-options --archive-dir --name --metadata-sync-mode --file-prefix --file-prefix-archive --file-prefix-jsonstat --file-prefix-manifest --file-prefix-signature --num-retries --backend-retry-delay --timeout --limit-upload --limit-download --ssh-options --scp-command --sftp-command --ssh-backend --scp-options --sftp-options --rsync-options --ssl-cacert-file --ssl-cacert-path --webdav-headers --imap-mailbox --s3-endpoint-url --s3-region-name --s3-multipart-chunk-size --s3-multipart-max-procs --s3-kms-key-id --s3-kms-grant --s3-multipart-max-timeout --azure-blob-tier --azure-max-block-size --azure-max-connections --azure-max-single-put-size --cf-backend --idr-fakeroot --mp-segment-size --swift-storage-policy --par2-options --par2-redundancy --par2-volumes
            set left 1
        else if contains -- $word --rename
            set left 2
        end
    end
    test $left -eq 0
end

# Whether one of these actions was given, or none that decides.
function __twofold_is
    set -l given (__twofold_words)
    test (count $given) -eq 0; or contains -- $given[1] $argv; or not contains -- $given[1] backup bu full fb incremental inc incr ib restore rb verify vb list-current-files ls collection-status st cleanup cl remove-older-than ro remove-all-but-n-full ra remove-all-inc-of-but-n-full ri check replicate validate-storage
end

# What is wanted next: action, file, url or nothing.
function __twofold_wants
    set -l given (__twofold_words); or return
    set -l wanted nothing
    if test (count $given) -eq 0
        set wanted action
    else
        switch $given[1]:(count $given)
            case backup:1 bu:1
                set wanted file
            case backup:2 bu:2
                set wanted url
            case full:1 fb:1
                set wanted file
            case full:2 fb:2
                set wanted url
            case incremental:1 inc:1 incr:1 ib:1
                set wanted file
            case incremental:2 inc:2 incr:2 ib:2
                set wanted url
            case restore:1 rb:1
                set wanted url
            case restore:2 rb:2
                set wanted file
            case verify:1 vb:1
                set wanted url
            case verify:2 vb:2
                set wanted file
            case list-current-files:1 ls:1
                set wanted url
            case collection-status:1 st:1
                set wanted url
            case cleanup:1 cl:1
                set wanted url
            case remove-older-than:1 ro:1
                set wanted nothing
            case remove-older-than:2 ro:2
                set wanted url
            case remove-all-but-n-full:1 ra:1
                set wanted nothing
            case remove-all-but-n-full:2 ra:2
                set wanted url
            case remove-all-inc-of-but-n-full:1 ri:1
                set wanted nothing
            case remove-all-inc-of-but-n-full:2 ri:2
                set wanted url
            case check:1
                set wanted url
            case replicate:1
                set wanted url
            case replicate:2
                set wanted url
            case validate-storage:1
                set wanted url
            case '*://*:1'
                set wanted file
            case '*:1'
                set wanted url
        end
    end
    test $wanted = $argv[1]
end

function __twofold_urls
    set -l typed (commandline -ct)
    if string match --quiet -- 'file://*' $typed
        printf 'file://%s\n' (__fish_complete_directories (string replace -- file:// '' $typed) '')
    else
        printf '%s\n' file:// azure:// b2:// boto3+s3:// box:// cf+http:// dpbx:// exec:// fish:// ftp:// ftpes:// ftps:// gdocs:// gdrive:// gs:// http:// https:// imap:// imaps:// jottacloud:// lftp+fish:// lftp+ftp:// lftp+ftpes:// lftp+ftps:// lftp+http:// lftp+https:// lftp+sftp:// lftp+webdav:// lftp+webdavs:// mega:// megav2:// megav3:// multi:// ncftp+ftp:// onedrive:// paramiko+scp:// paramiko+sftp:// pca:// pexpect+scp:// pexpect+sftp:// pydrive:// pydrive+gdocs:// rclone:// rsync:// s3:// s3+http:// scp:// sftp:// smb:// swift:// tahoe:// webdav:// webdavs:// xorriso://
    end
end

complete -c twofold -f
complete -c twofold -n '__twofold_wants file' -F
complete -c twofold -n '__twofold_wants url' -a '(__twofold_urls)'
complete -c twofold -n '__twofold_wants action' -a backup -d 'Add to the newest chain, or begin one'
complete -c twofold -n '__twofold_wants action' -a full -d 'Begin a new chain with everything'
complete -c twofold -n '__twofold_wants action' -a incremental -d 'Add to the newest chain, or fail if there is none'
complete -c twofold -n '__twofold_wants action' -a restore -d 'Write files back from a backup'
complete -c twofold -n '__twofold_wants action' -a verify -d 'Check a backup and compare it with local files'
complete -c twofold -n '__twofold_wants action' -a list-current-files -d 'Print the names of the files in a backup'
complete -c twofold -n '__twofold_wants action' -a collection-status -d 'Print which chains and sets a target holds'
complete -c twofold -n '__twofold_wants action' -a cleanup -d 'Delete what belongs to no usable backup'
complete -c twofold -n '__twofold_wants action' -a remove-older-than -d 'Delete chains that ended before TIME'
complete -c twofold -n '__twofold_wants action' -a remove-all-but-n-full -d 'Delete all but the newest COUNT chains'
complete -c twofold -n '__twofold_wants action' -a remove-all-inc-of-but-n-full -d 'Delete the incremental sets of all but the newest COUNT chains'
complete -c twofold -n '__twofold_wants action' -a check -d 'Prove that a target\'s backups are whole, without the files they were made of'
complete -c twofold -n '__twofold_wants action' -a replicate -d 'Copy the backups of one target to another one, checked and as they are'
complete -c twofold -n '__twofold_wants action' -a validate-storage -d 'Try out what a target can do for backups, and how fast, before any are made'
complete -c twofold -n '__twofold_wants action' -F
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb cleanup cl remove-older-than ro remove-all-but-n-full ra remove-all-inc-of-but-n-full ri replicate validate-storage' -l dry-run -d 'Do everything except writing to the target or deleting there'
complete -c twofold -n '__twofold_is restore rb cleanup cl remove-older-than ro remove-all-but-n-full ra remove-all-inc-of-but-n-full ri' -l force -d 'Really delete (cleanup, remove-*); write over existing files (restore)'
complete -c twofold -s v -l verbosity -x -a 'error warning notice info debug' -d 'How much to print: 0 errors, 2 warnings, 3 notices, 5 info, 9 debug, or one of these words'
complete -c twofold -l log-fd -x -d 'Also write messages for programs to this open file descriptor'
complete -c twofold -l log-file -r -F -d 'Also append messages for programs to this file'
complete -c twofold -l timings -d 'At the end, show where the time went, thread by thread'
complete -c twofold -l log-timestamp -d 'Put time and level in front of every message'
complete -c twofold -l tempdir -x -a '(__fish_complete_directories)' -d 'Make the temporary working directory in this one'
complete -c twofold -l json -d 'Print the result, messages and errors included, as JSON (docs/json.md) and nothing else'
complete -c twofold -n '__twofold_is backup bu incremental inc incr ib replicate' -l allow-source-mismatch -d 'Continue a chain although host or source path have changed; copy to where nothing of the same backup is'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l asynchronous-upload -d 'Upload while the next volume is made (always done now)'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l compression -d 'Compress what is stored'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l no-compression -d 'Store without compressing'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l compression-level -x -d 'How hard to compress, from 0 (fastest) to 3 (smallest)'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb check' -l concurrency -x -d 'Compress in this many threads and move at most so many volumes at once; 0 chooses by machine and service'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib verify vb' -l copy-links -d 'Follow symbolic links and store what is there'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l files-changed -d 'Record in the manifest which files are new, changed or gone'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l no-files-changed -d 'Leave that list out of the manifest'
complete -c twofold -n '__twofold_is backup bu incremental inc incr ib' -l full-if-n-inc -x -d 'Begin a new chain when the newest one has this many incremental sets'
complete -c twofold -n '__twofold_is backup bu incremental inc incr ib' -l full-if-older-than -x -d 'Begin a new chain when the newest full set was made before this time'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib collection-status st' -l jsonstat -d 'Print and store statistics as JSON; with --show-changes-in-set, print that as JSON'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l max-blocksize -x -d 'Largest block, in bytes, in which large files are compared; 0 for no limit'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l print-statistics -d 'Print statistics at the end'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l no-print-statistics -d 'Print no statistics at the end'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb check replicate validate-storage' -l progress -d 'Show how far the work has come'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb check replicate validate-storage' -l progress-rate -x -d 'Seconds between two lines of --progress'
complete -c twofold -n '__twofold_is backup bu incremental inc incr ib' -l skip-if-no-change -d 'Store no incremental set when nothing changed'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l volsize -x -d 'Size in MiB at which a volume is closed and the next one begun'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l include -r -F -d 'Take what matches, and the directories on the way to it'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l exclude -r -F -d 'Leave out what matches, and all that is below it'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l include-filelist -r -F -d 'Read patterns from a file, one a line; they include unless they begin with \'- \''
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l exclude-filelist -r -F -d 'Read patterns from a file, one a line; they exclude unless they begin with \'+ \''
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l include-regexp -x -d 'Take paths in which this Python regular expression is found'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l exclude-regexp -x -d 'Leave out paths in which this Python regular expression is found'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l exclude-device-files -d 'Leave out block and character devices'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib verify vb' -l exclude-if-present -x -d 'Leave out directories that hold an entry of this name'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l exclude-older-than -x -d 'Leave out regular files that were last modified before this time'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib verify vb' -l exclude-other-filesystems -d 'Stay on the file system of the source directory'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib verify vb' -l files-from -r -F -d 'Take just the paths in this file, relative to the source'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l filter-globbing -d 'Read the patterns that follow as shell globs, as at the start'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l filter-literal -d 'Read the patterns that follow as plain names'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l filter-regexp -d 'Read the patterns that follow as regular expressions'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l filter-ignorecase -d 'Take upper and lower case for the same in the patterns that follow'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l filter-strictcase -d 'Tell upper from lower case in the patterns that follow, as at the start'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib restore rb verify vb' -l null-separator -d 'Entries of all lists end with NUL, not with newline'
complete -c twofold -n '__twofold_is verify vb' -l compare-data -d 'Compare contents too, not only what is known of the files'
complete -c twofold -n '__twofold_is restore rb verify vb' -l copy-blocksize -x -d 'How many KiB to copy or compare at a time'
complete -c twofold -n '__twofold_is collection-status st' -l file-changed -x -d 'Print the history of one file in the newest chain'
complete -c twofold -n '__twofold_is restore rb verify vb' -l ignore-errors -d 'Rescue what can be read from damaged backups and go on after errors'
complete -c twofold -n '__twofold_is restore rb verify vb list-current-files ls check' -l ignore-mdc-error -d 'Read encrypted files so old that nothing protects them from being changed'
complete -c twofold -n '__twofold_is check' -l read-data -d 'Decrypt and read everything as a restore would, and compare each file with its hash'
complete -c twofold -n '__twofold_is check' -l sample -x -d 'Look only at so many of the volumes, chosen at random; for every night'
complete -c twofold -n '__twofold_is restore rb' -l numeric-owner -d 'Go by stored user and group numbers, not by names'
complete -c twofold -n '__twofold_is restore rb verify vb' -s r -l path-to-restore -x -d 'Take only this file or directory of the backup'
complete -c twofold -n '__twofold_is restore rb' -l rename -x -d 'Restore OLD, and what is below it, as NEW'
complete -c twofold -n '__twofold_is restore rb' -l restore-ownership -d 'Give files their stored owners'
complete -c twofold -n '__twofold_is restore rb' -l no-restore-ownership -d 'Leave restored files to whoever runs the restore'
complete -c twofold -n '__twofold_is restore rb verify vb list-current-files ls check replicate' -s t -l restore-time -l time -x -d 'Go back to the newest backup that is not later than this time'
complete -c twofold -n '__twofold_is collection-status st' -l show-changes-in-set -x -d 'Print which files changed in a set of the newest chain: 0 is the newest set, 1 the one before; -1 all'
complete -c twofold -n '__twofold_is restore rb verify vb list-current-files ls collection-status st cleanup cl remove-older-than ro remove-all-but-n-full ra remove-all-inc-of-but-n-full ri check' -l time-separator -x -d 'Character that stands for the colon in times, as in the file names of very old backups'
complete -c twofold -l encryption -d 'Encrypt what is stored'
complete -c twofold -l no-encryption -d 'Neither encrypt nor decrypt'
complete -c twofold -l encrypt-key -x -d 'Encrypt to this public key instead of with a passphrase; may be repeated'
complete -c twofold -l hidden-encrypt-key -x -d 'As --encrypt-key, but the files do not tell which key it is'
complete -c twofold -l sign-key -x -d 'Sign what is stored; when restoring or verifying, demand this signature'
complete -c twofold -l encrypt-sign-key -x -d 'The same key for --encrypt-key and --sign-key'
complete -c twofold -n '__twofold_is restore rb verify vb' -l encrypt-secret-keyring -r -F -d 'Accepted for old scripts; gpg keeps secret keys in its own place'
complete -c twofold -l gpg-binary -x -a '(__fish_complete_command)' -d 'Run this program instead of gpg'
complete -c twofold -l gpg-options -x -d 'Further options for every call of gpg; may be repeated'
complete -c twofold -l use-agent -d 'Leave it to gpg\'s agent to know passphrases or to ask for them'
complete -c twofold -l archive-dir -x -a '(__fish_complete_directories)' -d 'Keep the local copies of metadata below this directory'
complete -c twofold -l name -x -d 'Name of this backup\'s directory below --archive-dir'
complete -c twofold -l check-remote -d 'Look at the target to see which metadata it has'
complete -c twofold -l no-check-remote -d 'Trust the local copies of metadata without looking at the target'
complete -c twofold -l metadata-sync-mode -x -a 'full partial' -d 'Fetch the metadata of the chain in question only, or of all of them'
complete -c twofold -l file-prefix -x -d 'Put this in front of the name of every stored file'
complete -c twofold -l file-prefix-archive -x -d 'The same for volumes, behind --file-prefix'
complete -c twofold -l file-prefix-jsonstat -x -d 'The same for statistics'
complete -c twofold -l file-prefix-manifest -x -d 'The same for manifests'
complete -c twofold -l file-prefix-signature -x -d 'The same for signatures'
complete -c twofold -l num-retries -x -d 'How often to try each request, the first time included'
complete -c twofold -l backend-retry-delay -x -d 'Seconds to wait before a request is tried again'
complete -c twofold -l timeout -x -d 'Seconds after which a silent connection is given up'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib replicate validate-storage' -l limit-upload -x -d 'Send at most this many KiB a second, over all transfers'
complete -c twofold -n '__twofold_is restore rb verify vb check replicate validate-storage' -l limit-download -x -d 'Receive at most this many KiB a second, over all transfers'
complete -c twofold -l ssh-askpass -d 'Ask for the password if neither URL nor environment has it'
complete -c twofold -l ssh-options -x -d 'Further options for ssh; may be repeated'
complete -c twofold -l scp-command -x -d 'Run this instead of scp'
complete -c twofold -l sftp-command -x -d 'Run this instead of sftp'
complete -c twofold -l rsync-options -x -d 'Further options for rsync; may be repeated'
complete -c twofold -l ftp-passive -d 'We open the connections for data'
complete -c twofold -l ftp-regular -d 'The server opens the connections for data'
complete -c twofold -l ssl-cacert-file -r -F -d 'Trust the certificates in this PEM file'
complete -c twofold -l ssl-cacert-path -x -a '(__fish_complete_directories)' -d 'Trust the certificates in this directory'
complete -c twofold -l ssl-no-check-certificate -d 'Trust any server, whatever its certificate'
complete -c twofold -l webdav-headers -x -d 'Headers to send with every request, written NAME,VALUE,NAME,VALUE'
complete -c twofold -l imap-full-address -d 'Log in as user@host instead of as user'
complete -c twofold -l imap-mailbox -x -d 'Mail folder to use'
complete -c twofold -l s3-endpoint-url -x -d 'Address of the service, if it is not Amazon\'s'
complete -c twofold -l s3-region-name -x -d 'Region of the bucket'
complete -c twofold -l s3-unencrypted-connection -d 'Use http instead of https'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-multipart-chunk-size -x -d 'Send larger files in parts of this many MiB'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-multipart-max-procs -x -d 'How many parts to send at once'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-deep-archive -d 'Keep volumes in DEEP_ARCHIVE'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-glacier -d 'Keep volumes in GLACIER'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-glacier-ir -d 'Keep volumes in GLACIER_IR'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-ia -d 'Keep everything in STANDARD_IA'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-onezone-ia -d 'Keep everything in ONEZONE_IA'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-rrs -d 'Keep everything in REDUCED_REDUNDANCY'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-server-side-encryption -d 'Have the server encrypt with AES256'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-use-server-side-kms-encryption -d 'Have the server encrypt with the key of --s3-kms-key-id'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-kms-key-id -x -d 'Key for that'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l s3-kms-grant -x -d 'Grant for that'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l azure-blob-tier -x -d 'Tier of stored files: Hot, Cool, Cold or Archive'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l azure-max-block-size -x -d 'Bytes in one part of a file sent in parts'
complete -c twofold -l azure-max-connections -x -d 'How many parts may be on their way at once'
complete -c twofold -n '__twofold_is backup bu full fb incremental inc incr ib' -l azure-max-single-put-size -x -d 'Bytes up to which a file is sent in one part'
complete -c twofold -n '__twofold_is cleanup cl remove-older-than ro remove-all-but-n-full ra remove-all-inc-of-but-n-full ri' -l b2-hide-files -d 'Hide files instead of deleting them'
complete -c twofold -l cf-backend -x -d 'Library to use: pyrax or cloudfiles'
complete -c twofold -l idr-fakeroot -x -a '(__fish_complete_directories)' -d 'Directory to take for the root'
complete -c twofold -l mf-purge -d 'Delete for good, not into the trash'
complete -c twofold -l mp-segment-size -x -d 'Send larger files in segments of this many MiB'
complete -c twofold -l swift-storage-policy -x -d 'Policy for a container that has to be made'
complete -c twofold -l par2-options -x -d 'Further options for par2; may be repeated'
complete -c twofold -l par2-redundancy -x -d 'How much can be repaired, in percent'
complete -c twofold -l par2-volumes -x -d 'Number of files that hold what is needed for repairs'
complete -c twofold -s h -l help -d 'Print the most important options'
complete -c twofold -l help-all -d 'Print all options'
complete -c twofold -l help-urls -d 'Print the forms of target URLs'
complete -c twofold -l help-backup -d 'Print the options of backup'
complete -c twofold -l help-full -d 'Print the options of full'
complete -c twofold -l help-inc -d 'Print the options of incremental'
complete -c twofold -l help-restore -d 'Print the options of restore'
complete -c twofold -l help-verify -d 'Print the options of verify'
complete -c twofold -l help-list-current-files -d 'Print the options of list-current-files'
complete -c twofold -l help-collection-status -d 'Print the options of collection-status'
complete -c twofold -l help-cleanup -d 'Print the options of cleanup'
complete -c twofold -l help-remove-older-than -d 'Print the options of remove-older-than'
complete -c twofold -l help-remove-all-but-n-full -d 'Print the options of remove-all-but-n-full'
complete -c twofold -l help-remove-all-inc-of-but-n-full -d 'Print the options of remove-all-inc-of-but-n-full'
complete -c twofold -n '__twofold_is check' -l help-check -d 'Print the options of check'
complete -c twofold -n '__twofold_is replicate' -l help-replicate -d 'Print the options of replicate'
complete -c twofold -n '__twofold_is validate-storage' -l help-validate-storage -d 'Print the options of validate-storage'
complete -c twofold -s V -l version -d 'Print the version'
