"""The shell: composes, runs, watches, resumes, reruns and reports. Holds no maths."""
