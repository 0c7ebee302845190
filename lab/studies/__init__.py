"""The studies: what is asked of models, of which material, by which method. Only entry points name them.

The laboratory imports nothing from here, and studies import each other through `lab.studies.shared` alone.
"""
