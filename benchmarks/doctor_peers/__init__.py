"""Others' ways of finding faults, written anew from their descriptions, to stand beside the doctor."""
