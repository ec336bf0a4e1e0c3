package persist

// Waiter is told that the store's positions moved. Advanced must be quick: it runs between two commits.
type Waiter interface{ Advanced() }
