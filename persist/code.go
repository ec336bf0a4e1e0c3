package persist

import "fmt"

var codeNames = [codeEnd]string{
	CodeEpochBegin: "EPOCH_BEGIN", CodeConfig: "CONFIG", CodeTrim: "TRIM", CodeMessage: "MESSAGE", CodeEnqueue: "ENQUEUE",
	CodeSettle: "SETTLE", CodeAttempt: "ATTEMPT", CodeMove: "MOVE", CodePurge: "PURGE", CodeAssign: "ASSIGN",
	CodePut: "PUT", CodeDelete: "DELETE", CodeTxPrepare: "TX_PREPARE", CodeTxCommit: "TX_COMMIT",
	CodeTxRollback: "TX_ROLLBACK", CodeRelocateMessage: "RELOCATE_MESSAGE", CodeRelocateRow: "RELOCATE_ROW",
	CodeRelocateTails: "RELOCATE_TAILS",
}

func (c Code) String() string {
	if c == 0 || c >= codeEnd {
		return fmt.Sprintf("operation %d", uint8(c))
	}
	return codeNames[c]
}
