"""The science, one file a method: arrays in, frozen results with estimates out. No pytest, files or models here."""
