"""From numbers to what people read: tables, figures, the gallery, the page, the files."""
