package core

import (
	"errors"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// realStore makes newRig use the real store, on a file system in memory.
var realStore bool

// TestOverTheRealStore plays what needs no hand on the store again, over the real one.
func TestOverTheRealStore(t *testing.T) {
	realStore = true
	defer func() { realStore = false }()
	for name, f := range map[string]func(*testing.T){
		"order":            TestQueueDeliversInOrderWithCredit,
		"priority":         TestPriorityGoesBeforeOrder,
		"outcomes":         TestOutcomes,
		"redeliveries":     TestSixRedeliveriesThenDead,
		"in flight":        TestWhatWasInFlightReturnsToItsPlace,
		"drain":            TestDrain,
		"backlog":          TestBacklogIsReadBackInOrder,
		"backlog restart":  TestBacklogIsReadBackAfterARestart,
		"mixed":            TestOneProducersOrderHoldsWhateverIsDurable,
		"delayed":          TestDelayedWithinABacklogComesOnceAndInItsPlace,
		"many delayed":     TestTooManyDelayedWaitInTheStore,
		"memory":           TestMemoryIsBoundedAndBodiesComeBack,
		"purge":            TestPurge,
		"expired":          TestExpiredDurableIsADeadLetterAndOthersAreGone,
		"expired behind":   TestExpiryBehindTheWindow,
		"buried in tx":     TestTransactionThatBuriesWhereItPublishes,
		"policies":         TestDeadLettersByPolicy,
		"topic":            TestTopicGoesToAllThatSubscribe,
		"no-local":         TestNoLocal,
		"durable":          TestDurableSubscriptionOutlivesItsConsumer,
		"durable anew":     TestChangedDurableSubscriptionIsMadeAnew,
		"durable by name":  TestDurableSubscriptionByNameAlone,
		"durable limit":    TestDurableSubscriptionsLimitDropsTheOldest,
		"declare":          TestDeclare,
		"inbox":            TestInboxDeliversOnceAtTheHighestQoS,
		"inbox keeps":      TestInboxKeepsWhatItsClientMissed,
		"inbox expires":    TestInboxExpires,
		"disconnect":       TestDisconnectChangesTheExpiry,
		"takeover":         TestTakeover,
		"received":         TestReceivedSurvivesARestart,
		"inbox limit":      TestReceivedIsNotDroppedWhenTheInboxIsFull,
		"inbound":          TestInboundIDs,
		"shared":           TestInboxConsumesFromSharedQueues,
		"retained":         TestRetained,
		"retained stored":  TestRetainedForALastingInboxIsStored,
		"many retained":    TestManyRetained,
		"wills":            TestWillsAreKeptForTheNextMaster,
		"will delay":       TestWillDelay,
		"tx outcomes":      TestTransactionOutcomes,
		"tx ends":          TestTransactionEndsWithItsConnection,
		"tx topics":        TestTransactionWithRetainedAndTopics,
		"mailbox":          TestMailboxStopsAndGoesOn,
		"auto":             TestAutoIsAcceptedAsItIsHandedOver,
		"browser":          TestBrowserSeesAllAndTakesNothing,
		"listing":          TestQueuesAreListed,
		"made and deleted": TestQueuesAreMadeDeletedAndPaused,
		"deleted":          TestPublishToAQueueThatWasDeleted,
		"subscriptions":    TestSubscriptionsAreDeleted,
		"duplicates":       TestDuplicateIsStoredOnce,
		"duplicates in tx": TestDuplicatesInTransactions,
		"duplicates kept":  TestWindowOfAProducer,
		"sweep":            TestExpiryInUntouchedQueues,
		"sweep behind":     TestExpiryFarBehindTheWindow,
		"origin":           TestOriginOfDeadLetters,
		"dup and QoS 2":    TestDuplicateWithAPacketID,
	} {
		t.Run(name, f)
	}
}

// diskStore is the real store as a testStore.
type diskStore struct {
	*persist.Store
	tb testing.TB
	fs *persist.MemFS
}

func openDiskStore(tb testing.TB, fs *persist.MemFS) *diskStore {
	tb.Helper()
	s, err := persist.Open(persist.Options{Dir: "data", FS: fs, LogSize: 1 << 20, ReserveBytes: -1, BootID: "boot"})
	if err != nil {
		tb.Fatal(err)
	}
	d := &diskStore{s, tb, fs}
	barrier, err := s.Lead(s.NextEpoch())
	if err != nil {
		tb.Fatal(err)
	}
	d.await(barrier)
	return d
}

func (d *diskStore) await(pos persist.Pos) {
	d.tb.Helper()
	patience := time.NewTimer(powerPatience)
	defer patience.Stop()
	for b, first := make(bell, 1), true; first || d.Committed() < pos; first = false {
		d.Await(pos, b) // once at least: those who waited before are told before
		select {
		case <-b:
		case <-patience.C:
			d.tb.Fatalf("position %d was not committed in %v", pos, powerPatience)
		}
	}
}

func (d *diskStore) flush() {
	for end := persist.Pos(0); end != d.Usage().End; {
		end = d.Usage().End
		d.await(end)
	}
}

// reopen is what a killed process leaves. The tests that use it have waited until all is committed.
func (d *diskStore) reopen(int) testStore {
	after := d.fs.Kill()
	d.close()
	return openDiskStore(d.tb, after)
}

func (d *diskStore) close() {
	if err := d.Close(); err != nil && !errors.Is(err, persist.ErrClosed) {
		d.tb.Log(err) // the file system was taken away
	}
}
