"""Hosts reached by SSH: sftp.py and fish.py on asyncssh, openssh.py with the programs of OpenSSH."""
