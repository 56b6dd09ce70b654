"""The Nymeria data set: its known defects repaired, its body placed in the glasses' world, its clips prepared."""
