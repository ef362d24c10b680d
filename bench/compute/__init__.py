"""Race compute against every installed peer, case by case: `./run bench compute`."""
