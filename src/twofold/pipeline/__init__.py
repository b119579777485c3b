"""Stages that several operations share: functions from iterator to iterator."""
