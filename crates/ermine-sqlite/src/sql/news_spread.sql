-- news_spread: has every daemon on the file look for what is wanted of it.
update meta set news = news + 1 returning news
