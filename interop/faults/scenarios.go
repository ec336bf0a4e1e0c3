package main

// scenarios are the table's rows, by number.
var scenarios = []*scenario{
	{number: 1, title: "kill -9 the master under load", expected: "new master in less than 1 s", short: true, run: killMaster},
}
