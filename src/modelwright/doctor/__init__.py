"""Names what is wrong with a learning system: sensors that listen, probes that try, and ranked causes."""
