"""The doctor as a callback of libraries that own the loop; each file imports its library."""
