"""Parts of `benchmarks/doctor.py`: what is run, how results are kept, and how they are judged."""
