"""A `multiprocessing` context on the zygote. It imports `multiprocessing`, so nothing but the zygote imports it."""
