"""Where trials run: the jobs, the executors that take them, and the checks that every executor passes."""
