"""imap:// and imaps://: files as messages of a mailbox."""
