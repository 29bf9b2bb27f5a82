-- data_version: changes with every commit of another connection, and is the cheapest thing to ask for.
pragma data_version
