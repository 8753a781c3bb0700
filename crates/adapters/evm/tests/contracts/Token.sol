// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// A small ERC-20, with what tests of the EVM adapter look at: events, a custom error, a reason, a panic.
contract Token {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance(address owner, uint256 balance, uint256 needed);
    error InsufficientAllowance(address spender, uint256 allowance, uint256 needed);

    string public constant name = "Test Token";
    string public constant symbol = "TEST";
    uint8 public constant decimals = 18;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(uint256 supply) {
        totalSupply = supply;
        balanceOf[msg.sender] = supply;
        emit Transfer(address(0), msg.sender, supply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < value) revert InsufficientAllowance(msg.sender, allowed, value);
        allowance[from][msg.sender] = allowed - value;
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) private {
        uint256 balance = balanceOf[from];
        if (balance < value) revert InsufficientBalance(from, balance, value);
        unchecked {
            balanceOf[from] = balance - value;
            balanceOf[to] += value;
        }
        emit Transfer(from, to, value);
    }

    /// What a block and a transaction look like from inside.
    function environment() external view returns (address, uint256, uint256, uint256, uint256, uint256, bytes32) {
        return (msg.sender, tx.gasprice, block.basefee, block.number, block.chainid, block.prevrandao, blockhash(block.number - 1));
    }

    function failWithReason() external pure {
        require(false, "a reason");
    }

    function failWithPanic(uint256 a) external pure returns (uint256) {
        return 1 - a;
    }

    /// Uses all gas it is given.
    function burn() external pure {
        while (true) {}
    }

    receive() external payable {}
}
