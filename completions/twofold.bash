# bash completion for twofold(1), made from its table of options: do not edit

_twofold_options() {
    local common="-v --verbosity --log-fd --log-file --timings --log-timestamp --tempdir --json --encryption --no-encryption --encrypt-key --hidden-encrypt-key --sign-key --encrypt-sign-key --gpg-binary --gpg-options --use-agent --archive-dir --name --check-remote --no-check-remote --metadata-sync-mode --file-prefix --file-prefix-archive --file-prefix-jsonstat --file-prefix-manifest --file-prefix-signature --num-retries --backend-retry-delay --timeout --ssh-askpass --ssh-options --scp-command --sftp-command --rsync-options --ftp-passive --ftp-regular --ssl-cacert-file --ssl-cacert-path --ssl-no-check-certificate --webdav-headers --imap-full-address --imap-mailbox --s3-endpoint-url --s3-region-name --s3-unencrypted-connection --azure-max-connections --cf-backend --idr-fakeroot --mf-purge --mp-segment-size --swift-storage-policy --par2-options --par2-redundancy --par2-volumes -h --help --help-all --help-urls --help-backup --help-full --help-inc --help-restore --help-verify --help-list-current-files --help-collection-status --help-cleanup --help-remove-older-than --help-remove-all-but-n-full --help-remove-all-inc-of-but-n-full -V --version"
    case $1 in
        backup|bu) REPLY="$common --dry-run --allow-source-mismatch --asynchronous-upload --compression --no-compression --compression-level --concurrency --copy-links --files-changed --no-files-changed --full-if-n-inc --full-if-older-than --jsonstat --max-blocksize --print-statistics --no-print-statistics --progress --progress-rate --skip-if-no-change --volsize --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-device-files --exclude-if-present --exclude-older-than --exclude-other-filesystems --files-from --filter-globbing --filter-literal --filter-regexp --filter-ignorecase --filter-strictcase --null-separator --limit-upload --s3-multipart-chunk-size --s3-multipart-max-procs --s3-use-deep-archive --s3-use-glacier --s3-use-glacier-ir --s3-use-ia --s3-use-onezone-ia --s3-use-rrs --s3-use-server-side-encryption --s3-use-server-side-kms-encryption --s3-kms-key-id --s3-kms-grant --azure-blob-tier --azure-max-block-size --azure-max-single-put-size" ;;
        full|fb) REPLY="$common --dry-run --asynchronous-upload --compression --no-compression --compression-level --concurrency --copy-links --files-changed --no-files-changed --jsonstat --max-blocksize --print-statistics --no-print-statistics --progress --progress-rate --volsize --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-device-files --exclude-if-present --exclude-older-than --exclude-other-filesystems --files-from --filter-globbing --filter-literal --filter-regexp --filter-ignorecase --filter-strictcase --null-separator --limit-upload --s3-multipart-chunk-size --s3-multipart-max-procs --s3-use-deep-archive --s3-use-glacier --s3-use-glacier-ir --s3-use-ia --s3-use-onezone-ia --s3-use-rrs --s3-use-server-side-encryption --s3-use-server-side-kms-encryption --s3-kms-key-id --s3-kms-grant --azure-blob-tier --azure-max-block-size --azure-max-single-put-size" ;;
        incremental|inc|incr|ib) REPLY="$common --dry-run --allow-source-mismatch --asynchronous-upload --compression --no-compression --compression-level --concurrency --copy-links --files-changed --no-files-changed --full-if-n-inc --full-if-older-than --jsonstat --max-blocksize --print-statistics --no-print-statistics --progress --progress-rate --skip-if-no-change --volsize --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-device-files --exclude-if-present --exclude-older-than --exclude-other-filesystems --files-from --filter-globbing --filter-literal --filter-regexp --filter-ignorecase --filter-strictcase --null-separator --limit-upload --s3-multipart-chunk-size --s3-multipart-max-procs --s3-use-deep-archive --s3-use-glacier --s3-use-glacier-ir --s3-use-ia --s3-use-onezone-ia --s3-use-rrs --s3-use-server-side-encryption --s3-use-server-side-kms-encryption --s3-kms-key-id --s3-kms-grant --azure-blob-tier --azure-max-block-size --azure-max-single-put-size" ;;
        restore|rb) REPLY="$common --dry-run --force --concurrency --progress --progress-rate --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-device-files --exclude-older-than --filter-globbing --filter-literal --filter-regexp --filter-ignorecase --filter-strictcase --null-separator --copy-blocksize --ignore-errors --ignore-mdc-error --numeric-owner -r --path-to-restore --rename --restore-ownership --no-restore-ownership -t --restore-time --time --time-separator --encrypt-secret-keyring --limit-download" ;;
        verify|vb) REPLY="$common --concurrency --copy-links --progress --progress-rate --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-device-files --exclude-if-present --exclude-older-than --exclude-other-filesystems --files-from --filter-globbing --filter-literal --filter-regexp --filter-ignorecase --filter-strictcase --null-separator --compare-data --copy-blocksize --ignore-errors --ignore-mdc-error -r --path-to-restore -t --restore-time --time --time-separator --encrypt-secret-keyring --limit-download" ;;
        list-current-files|ls) REPLY="$common --ignore-mdc-error -t --restore-time --time --time-separator" ;;
        collection-status|st) REPLY="$common --jsonstat --file-changed --show-changes-in-set --time-separator" ;;
        cleanup|cl) REPLY="$common --dry-run --force --time-separator --b2-hide-files" ;;
        remove-older-than|ro) REPLY="$common --dry-run --force --time-separator --b2-hide-files" ;;
        remove-all-but-n-full|ra) REPLY="$common --dry-run --force --time-separator --b2-hide-files" ;;
        remove-all-inc-of-but-n-full|ri) REPLY="$common --dry-run --force --time-separator --b2-hide-files" ;;
        check) REPLY="$common --concurrency --progress --progress-rate --ignore-mdc-error --read-data --sample -t --restore-time --time --time-separator --limit-download --help-check" ;;
        replicate) REPLY="$common --dry-run --allow-source-mismatch --progress --progress-rate -t --restore-time --time --limit-upload --limit-download --help-replicate" ;;
        validate-storage) REPLY="$common --dry-run --progress --progress-rate --limit-upload --limit-download --help-validate-storage" ;;
        *) REPLY="$common --dry-run --force --allow-source-mismatch --asynchronous-upload --compression --no-compression --compression-level --concurrency --copy-links --files-changed --no-files-changed --full-if-n-inc --full-if-older-than --jsonstat --max-blocksize --print-statistics --no-print-statistics --progress --progress-rate --skip-if-no-change --volsize --include --exclude --include-filelist --exclude-filelist --include-regexp --exclude-regexp --exclude-device-files --exclude-if-present --exclude-older-than --exclude-other-filesystems --files-from --filter-globbing --filter-literal --filter-regexp --filter-ignorecase --filter-strictcase --null-separator --compare-data --copy-blocksize --file-changed --ignore-errors --ignore-mdc-error --read-data --sample --numeric-owner -r --path-to-restore --rename --restore-ownership --no-restore-ownership -t --restore-time --time --show-changes-in-set --time-separator --encrypt-secret-keyring --limit-upload --limit-download --s3-multipart-chunk-size --s3-multipart-max-procs --s3-use-deep-archive --s3-use-glacier --s3-use-glacier-ir --s3-use-ia --s3-use-onezone-ia --s3-use-rrs --s3-use-server-side-encryption --s3-use-server-side-kms-encryption --s3-kms-key-id --s3-kms-grant --azure-blob-tier --azure-max-block-size --azure-max-single-put-size --b2-hide-files --help-check --help-replicate --help-validate-storage" ;;
    esac
}

_twofold_word() {
    REPLY=nothing
    case $1:$2 in
        backup:1|bu:1|full:1|fb:1|incremental:1|inc:1|incr:1|ib:1|restore:2|rb:2|verify:2|vb:2) REPLY=file ;;
        backup:2|bu:2|full:2|fb:2|incremental:2|inc:2|incr:2|ib:2|restore:1|rb:1|verify:1|vb:1|list-current-files:1|ls:1|collection-status:1|st:1|cleanup:1|cl:1|remove-older-than:2|ro:2|remove-all-but-n-full:2|ra:2|remove-all-inc-of-but-n-full:2|ri:2|check:1|replicate:1|replicate:2|validate-storage:1) REPLY=url ;;
        remove-older-than:1|ro:1|remove-all-but-n-full:1|ra:1|remove-all-inc-of-but-n-full:1|ri:1) REPLY=nothing ;;
        *://*:1) REPLY=file ;;
        *:1) REPLY=url ;;
    esac
}

_twofold_value() {
    REPLY=nothing
    case $1 in
        -v|--verbosity) REPLY=choice:error,warning,notice,info,debug ;;
        --log-file|--include|--exclude|--include-filelist|--exclude-filelist|--files-from|--encrypt-secret-keyring|--ssl-cacert-file) REPLY=file ;;
        --tempdir|--archive-dir|--ssl-cacert-path|--idr-fakeroot) REPLY=directory ;;
        --gpg-binary) REPLY=program ;;
        --metadata-sync-mode) REPLY=choice:full,partial ;;
    esac
}

# How many words an option takes besides its name.
_twofold_count() {
    case $1 in
        --rename) REPLY=2 ;;
        -v|--verbosity|--log-fd|--log-file|--tempdir|--config-dir|--current-time|--compression-level|--concurrency|--full-if-n-inc|--full-if-older-than|--max-blocksize|--progress-rate|--skip-volume|--volsize|--include|--exclude|--include-filelist|--exclude-filelist|--include-regexp|--exclude-regexp|--exclude-if-present|--exclude-older-than|--files-from|--include-globbing-filelist|--exclude-globbing-filelist|--copy-blocksize|--file-changed|--sample|-r|--path-to-restore|--file-to-restore|-t|--restore-time|--time|--show-changes-in-set|--time-separator|--encrypt-key|--hidden-encrypt-key|--sign-key|--encrypt-sign-key|--encrypt-secret-keyring|--gpg-binary|--gpg-options|--archive-dir|--name|--metadata-sync-mode|--file-prefix|--file-prefix-archive|--file-prefix-jsonstat|--file-prefix-manifest|--file-prefix-signature|--num-retries|--backend-retry-delay|--timeout|--limit-upload|--limit-download|--ssh-options|--scp-command|--sftp-command|--ssh-backend|--scp-options|--sftp-options|--rsync-options|--ssl-cacert-file|--ssl-cacert-path|--webdav-headers|--imap-mailbox|--s3-endpoint-url|--s3-region-name|--s3-multipart-chunk-size|--s3-multipart-max-procs|--s3-kms-key-id|--s3-kms-grant|--s3-multipart-max-timeout|--azure-blob-tier|--azure-max-block-size|--azure-max-connections|--azure-max-single-put-size|--cf-backend|--idr-fakeroot|--mp-segment-size|--swift-storage-policy|--par2-options|--par2-redundancy|--par2-volumes) REPLY=1 ;;
        *) REPLY=0 ;;
    esac
}

_twofold_suggest() {
    local typed=$2 before=$3 folder words
    case $1 in
        # Readline knows best how names of files are quoted.
        file) compopt +o nospace -o default ;;
        directory) compopt +o nospace -o dirnames ;;
        program) mapfile -t COMPREPLY < <(compgen -P "$before" -S " " -c -- "$typed") ;;
        url)
            if [[ $typed == file://* ]]; then
                folder=${typed#file://}
                while IFS= read -r folder; do
                    printf -v folder '%q' "$folder"
                    COMPREPLY+=("${before}file://$folder/")
                done < <(compgen -d -- "${folder//\\/}")
            else
                mapfile -t COMPREPLY < <(compgen -P "$before" -W "file:// azure:// b2:// boto3+s3:// box:// cf+http:// dpbx:// exec:// fish:// ftp:// ftpes:// ftps:// gdocs:// gdrive:// gs:// http:// https:// imap:// imaps:// jottacloud:// lftp+fish:// lftp+ftp:// lftp+ftpes:// lftp+ftps:// lftp+http:// lftp+https:// lftp+sftp:// lftp+webdav:// lftp+webdavs:// mega:// megav2:// megav3:// multi:// ncftp+ftp:// onedrive:// paramiko+scp:// paramiko+sftp:// pca:// pexpect+scp:// pexpect+sftp:// pydrive:// pydrive+gdocs:// rclone:// rsync:// s3:// s3+http:// scp:// sftp:// smb:// swift:// tahoe:// webdav:// webdavs:// xorriso://" -- "$typed")
            fi
            ;;
        choice:*)
            words=${1#choice:}
            mapfile -t COMPREPLY < <(compgen -P "$before" -S " " -W "${words//,/ }" -- "$typed")
            ;;
    esac
}

_twofold() {
    COMPREPLY=()
    compopt -o nospace
    # Readline takes words apart at = and : here they are put together again.
    local words=() word glued="" index
    for ((index = 1; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if ((${#words[@]} > 0)) && [[ $glued || ( $word == [=:]* && ${COMP_WORDBREAKS} == *[=:]* ) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        glued=""
        [[ $word == [=:]* && ${word//[=:]/} == "" ]] && glued=yes
    done
    local typed=${words[-1]} action="" place=0 pending="" left=0 only_words="" REPLY
    for ((index = 0; index < ${#words[@]} - 1; index++)); do
        word=${words[index]}
        if ((left > 0)); then
            ((left--))
        elif [[ $only_words || $word != -?* ]]; then
            if ((place == 0)); then
                action=$word
            fi
            ((place++))
        elif [[ $word == -- ]]; then
            only_words=yes
        else
            _twofold_count "$word"
            left=$REPLY pending=$word
        fi
    done
    if ((left > 0)); then
        _twofold_value "$pending"
        _twofold_suggest "$REPLY" "$typed" ""
    elif [[ ! $only_words && $typed == --*=* ]]; then
        _twofold_value "${typed%%=*}"
        _twofold_suggest "$REPLY" "${typed#*=}" "${typed%%=*}="
    elif [[ ! $only_words && $typed == -* ]]; then
        _twofold_options "$action"
        mapfile -t COMPREPLY < <(compgen -S " " -W "$REPLY" -- "$typed")
    elif ((place == 0)); then
        mapfile -t COMPREPLY < <(compgen -S " " -W "backup full incremental restore verify list-current-files collection-status cleanup remove-older-than remove-all-but-n-full remove-all-inc-of-but-n-full check replicate validate-storage" -- "$typed")
        if [[ $typed == *://* ]]; then
            _twofold_suggest url "$typed" ""
        elif [[ $typed && ${#COMPREPLY[@]} -eq 0 ]]; then
            _twofold_suggest file "$typed" ""
        fi
    else
        _twofold_word "$action" "$place"
        _twofold_suggest "$REPLY" "$typed" ""
    fi
    # What stands before the last place where readline took the word apart is on the line already.
    local last=${COMP_WORDS[COMP_CWORD]} before=""
    [[ $last == [=:] ]] && last=""
    if [[ $typed == *"$last" ]]; then
        before=${typed%"$last"}
    fi
    for index in "${!COMPREPLY[@]}"; do
        COMPREPLY[index]=${COMPREPLY[index]#"$before"}
    done
}

complete -F _twofold twofold
