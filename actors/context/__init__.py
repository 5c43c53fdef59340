"""Context: a `multiprocessing` context on the zygote. It imports `multiprocessing`, so it is imported when wanted."""
