"""The dbt project over the conformed tables: laid out for one ownership document, built, put in place.

Belongs here: what of `dbt_project/` is generated (`sources`, `dims`), laying it out (`project`), running dbt and
putting what it built in place (`build`). Does not: the models themselves, which are in `dbt_project/`.
"""
