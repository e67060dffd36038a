//! The mutants, each with the crate it is in and one sentence of what is broken.

macro_rules! mutants {
    ($($home:literal { $($name:ident $what:literal)+ })+) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Mutant {
            $($(
                #[doc = $what]
                $name,
            )+)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// The crate that it breaks.
            #[must_use]
            pub const fn home(self) -> &'static str {
                match self {
                    $($(Self::$name)|+ => $home,)+
                }
            }

            /// What is broken.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $($(Self::$name => $what,)+)+
                }
            }
        }
    };
}

mutants! {
    "milena-sequence" {
        BumpKeepsEpoch "A bump starts the sequence at zero again under the same epoch."
        BumpKeepsSequence "A bump takes the next epoch and goes on with the old sequence."
        RefusalForgetsAttempts "A batch whose earlier attempt may have been appended is taken for unwritten once a later one is refused."
        GhostsAreUnseen "A refusal counts as proof of absence though a batch before it, given up, may be appended yet."
        RetriesAreNumberedAnew "A batch that is sent again gets the next sequence instead of its own."
        FirstAckIsNotAwaited "Several batches are sent to a leader that has accepted nothing from this producer yet."
        WindowIsUnbounded "More batches are in flight than the settings allow and a broker remembers."
        GivenUpIsForgotten "A batch that is given up while it waits leaves no tombstone."
        TimeoutIsRefusal "A batch whose request timed out counts as not appended."
        LostAnswerIsRefusal "A batch whose answer was lost with its connection counts as not appended."
        LateReplicasAreRefusal "A batch that was appended, but by too few replicas, counts as not appended."
        PiecesShareSequence "The pieces of a batch that was split all have the sequence of the first."
        PiecesTurnRound "The pieces of a batch that was split are sent last one first."
    }
    "milena-sender" {
        WithdrawnTurnRound "Batches that lost their stamps are sent last one first."
        LostIsNotSent "A request whose connection died is taken for one that never left."
        OmissionIsIgnored "A partition that an answer leaves out is not heard of again."
        DeadlineIsIgnored "Batches are tried beyond their delivery timeout."
        WaitingDeadlineIsIgnored "Records that wait for their topic have no delivery timeout."
        DeadlineIsHarmless "What is in flight at its deadline is told as not written."
        SealedOvertake "Batches are taken from the codec in the order in which they are ready."
        SplitEndsBatch "A flush counts a batch that was split as settled with its first piece."
        FlushSkipsLastBatch "A flush does not wait for the last batch of a partition."
        FailureHoldsFlush "A flush goes on waiting for a batch that failed."
        CloseSkipsWaiting "The end of a close leaves records alone that wait for their topic."
        RecreatedGetsAmbiguous "Batches that may be on a topic that was deleted are sent to the new one of that name."
        QuestionsOverrun "The deadline of a question for the cluster or a topic is looked at a second late."
        RetryAtOnce "A batch that came back is sent again at once."
        UnwrittenStaysCounted "What was not written to a connection that died counts as still to be written."
    }
    "milena-cluster" {
        LostIsUnheardOf "Requests in flight on a connection that dies are not reported."
        MaybeSentIsNotSent "Requests in flight on a connection that dies are reported as never sent."
        RequestsNeverTimeOut "A request without an answer is waited for without end."
        RoomIsUnheardOf "It is not said when a connection that was waited for is there."
        MetadataAtOnce "Metadata is asked for again after a millisecond, whatever it said."
        ReconnectAtOnce "A connection that fails is made again without a wait."
        FailedMetadataIsAwaited "A metadata request that failed is waited for without end."
        LostControlIsUnheardOf "A lost request for a producer id is not reported."
        RefusalIsUnheardOf "It is not said that brokers refuse who the client is."
        NewsIsUnheardOf "It is not said what a metadata answer changed."
    }
    "milena-accumulator" {
        BellStaysRung "After the first record the sender is not woken any more."
        QueueStaysListed "A queue that was looked at once is not announced again."
        NewestFirst "The newest closed batch of a queue is taken first."
        WaitingTurnRound "Records that waited for their topic are moved to it last one first."
        OffsetsAreOneOff "The records of a batch but the first are told the offset of the one before."
        PiecesKeepIndex "The records of a batch that was split are told offsets as if they were first of their pieces."
        LastTokenIsLost "The last record of a report is left out."
        HalfIsReserved "Who waits for memory is given half of what was asked for."
        FailureHoldsMemory "The memory of a sealed batch that failed is not given back."
        SqueezedHoldsMemory "The memory of a compressed batch is not given back."
    }
}
