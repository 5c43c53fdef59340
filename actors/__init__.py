from ._errors import SubactorsError as SubactorsError
