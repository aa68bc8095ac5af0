#pragma once
// How the next claim is made, from how the last one ended. Pure.

namespace pgforeman {

class ClaimState {
 public:
  enum class Next {
    normal,        ///< may settle the batch's done messages in its transaction
    after_settle,  ///< after Settler::settle(), as the last one was to settle messages and failed:
                   ///< settle() handles locked rows and lost leases
    careful,       ///< after settle(); row by row and without payloads, as a message may be the
                   ///< reason why the last one failed
  };

  Next next() const { return next_; }
  /// The last claim got all it asked for.
  bool found_all() const { return wanted_ > 0 && got_ == wanted_; }
  /// The last claim got some messages, but fewer than it asked for. True once a claim.
  [[nodiscard]] bool take_emptied() {
    const bool emptied = got_ > 0 && got_ < wanted_;
    if (emptied) got_ = 0;
    return emptied;
  }

  /// settle() was called.
  void settled() {
    if (next_ == Next::after_settle) next_ = Next::normal;
  }
  /// A claim of `wanted` messages was answered with `got`.
  void answered(int wanted, int got) {
    wanted_ = wanted;
    got_ = got;
    next_ = Next::normal;
  }
  /// A claim failed. `is_suspect`: one of its messages may be the reason.
  void failed(bool is_suspect) {
    next_ = is_suspect ? Next::careful : Next::after_settle;  // proves: P28
  }

 private:
  Next next_ = Next::normal;
  int wanted_ = 0;
  int got_ = 0;
};

}  // namespace pgforeman
