"""What every page is made with: templates, words, times, charts, live parts."""
