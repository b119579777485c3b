"""OpenStack Swift: login.py logs in, faults.py knows what answers mean, store.py is the Store, cold.py that of OVH."""
