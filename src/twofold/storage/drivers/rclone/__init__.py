"""rclone:// and the services reached through rclone, which runs beside us as one long-lived process."""
