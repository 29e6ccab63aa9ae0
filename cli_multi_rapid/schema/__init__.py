"""Text to a document with positions, to problems or typed values. The published JSON schemas live here."""
