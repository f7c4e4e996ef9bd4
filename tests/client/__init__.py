"""Tests of plinth-client against the real API on a real socket."""
